const daysBefore0 = 719_528
const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]

/**
 * The milliseconds of a text that is known to look like `YYYY-MM-DDTHH:MM:SS.mmmZ`, as `Date.parse` has them; NaN for a
 * day that is not in the calendar and a time that is not on the clock.
 */
export function utcMsOf(text: string): number {
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2)
  const month = twoDigits(text, 5)
  const day = twoDigits(text, 8)
  const hour = twoDigits(text, 11)
  const minute = twoDigits(text, 14)
  const second = twoDigits(text, 17)
  const milliseconds = twoDigits(text, 20) * 10 + text.charCodeAt(22) - 48
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return NaN
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const before = (daysBeforeMonth[month - 1] ?? 0) + (isLeap && month > 2 ? 1 : 0)
  const after = (daysBeforeMonth[month] ?? 0) + (isLeap && month > 1 ? 1 : 0)
  if (day < 1 || day > after - before) return NaN
  const leapYears = Math.ceil(year / 4) - Math.ceil(year / 100) + Math.ceil(year / 400)
  const days = year * 365 + leapYears + before + day - 1 - daysBefore0
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milliseconds
}

function twoDigits(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 528
}
