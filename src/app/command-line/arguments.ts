import { InvalidArgumentError } from 'commander'
import { durationMs } from './duration.ts'
import { deadLetterCodes } from '../../scoring/dead-letter-code.ts'
import { eventIdSchema } from '../../events/envelope.ts'

/** Values of options as the command line takes them. */

export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('a number is needed')
  return value
}

export function dayMs(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('a date YYYY-MM-DD is needed')
  return ms
}

/** A time as the user wrote it: RFC 3339, or a date alone. */
export function instant(text: string): string {
  const isTime = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(Date.parse(text))
  if (!isTime) throw new InvalidArgumentError('a time such as 2018-04-01T00:00:00Z is needed')
  return text
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('a whole number is needed')
  return Number(text)
}

/** Infinity for the word `all`. */
export function wholeNumberOrAll(text: string): number {
  if (text === 'all') return Infinity
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('a whole number or "all" is needed')
  return Number(text)
}

/** Milliseconds. */
export function duration(text: string): number {
  const ms = durationMs(text)
  if (ms === null) throw new InvalidArgumentError('a duration such as 30s, 5m or 2h is needed')
  return ms
}

export function instantMs(given: string): number {
  return Date.parse(instant(given))
}

/** The command that uses it checks it. */
export function asGiven(given: string): string {
  return given
}

export function text(given: string): string {
  if (given === '') throw new InvalidArgumentError('a text is needed')
  return given
}

export function eventId(given: string): string {
  const parsed = eventIdSchema.safeParse(given)
  if (!parsed.success) throw new InvalidArgumentError(`no event can have this id: ${parsed.error.issues[0]?.message}`)
  return given
}

export function deadLetterCode(given: string): string {
  if (!deadLetterCodes.includes(given)) {
    throw new InvalidArgumentError(`no dead letter has this code: codes are ${deadLetterCodes.join(', ')}`)
  }
  return given
}

export function deadLetterCodeOrAll(given: string): string {
  return given === 'all' ? given : deadLetterCode(given)
}

/** A letter's id as the processor makes it: the position of the record. */
export function letterId(given: string): string {
  if (!/^[\w.-]+:\d+:\d+:dead$/.test(given)) {
    throw new InvalidArgumentError('the id of a letter is needed, such as <topic>:0:17:dead')
  }
  return given
}
