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

const twoTexts = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'))
const year0Ms = -62_167_219_200_000
const year10000Ms = 253_402_300_800_000

/**
 * What `new Date(ms).toISOString()` gives, for whole milliseconds. That takes 0.5 µs, this 0.2; an answer with the features of
 * one entity has two times.
 */
export function utcTextOf(ms: number): string {
  // Other years have another form.
  if (!(ms >= year0Ms && ms < year10000Ms)) return new Date(ms).toISOString()
  const day = Math.floor(ms / 86_400_000)
  const inDay = ms - day * 86_400_000
  // Years from March on, so that a leap day is the last of its year, in eras of 400 years.
  const sinceEra = day + daysBefore0 - 60
  const era = Math.floor(sinceEra / 146_097)
  const inEra = sinceEra - era * 146_097
  const leapDays = Math.floor(inEra / 1_460) - Math.floor(inEra / 36_524) + Math.floor(inEra / 146_096)
  const yearOfEra = Math.floor((inEra - leapDays) / 365)
  const inYear = inEra - (yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((inYear * 5 + 2) / 153)
  const dayOfMonth = inYear - Math.floor((marchMonth * 153 + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = era * 400 + yearOfEra + (month < 3 ? 1 : 0)
  const seconds = Math.floor(inDay / 1_000)
  const milliseconds = inDay - seconds * 1_000
  const date = `${two(Math.floor(year / 100))}${two(year % 100)}-${two(month)}-${two(dayOfMonth)}`
  const time = `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return `${date}T${time}.${Math.floor(milliseconds / 100)}${two(milliseconds % 100)}Z`
}

function two(number: number): string {
  return twoTexts[number] ?? ''
}
