import { namesIn, type PlacedLetter } from '../../../process/dead-letters/placed-letter.ts'

/** Selects letters; a missing field admits all. */
export interface LetterFilter {
  readonly code?: string
  /** The id of the event in the record, if it has one. */
  readonly eventId?: string
  /** The key of the record. */
  readonly key?: string
  /** The log took the record then, or later: milliseconds UTC. */
  readonly since?: number
}

export function admits({ code, eventId, key, since }: LetterFilter, letter: PlacedLetter): boolean {
  if (code !== undefined && letter.data.code !== code) return false
  if (since !== undefined && !(Date.parse(letter.time) >= since)) return false
  if (eventId === undefined && key === undefined) return true
  const named = namesIn(letter.data)
  return (eventId === undefined || named.eventId === eventId) && (key === undefined || named.key === key)
}
