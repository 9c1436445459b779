import { randomBytes } from 'node:crypto'

/** The field of a hash of positions that names its life, beside the partitions. */
export const incarnationField = 'life'

/** Of a life that is not known: nothing is compared. */
const unknownIncarnation = ''

/** What a hash without positions would call its life. */
export function newIncarnation(): string {
  return randomBytes(12).toString('base64url')
}

/**
 * In which life this connection met each hash of positions: one begins with the first position, and ends when the store
 * is emptied. A position says how far a life has come, not which one it is: whoever slept while the store was emptied
 * and filled again would take one for the other.
 */
export class StoreIncarnations {
  /** How many have ended, as far as this connection noticed: part of the store's epoch. */
  ended = 0
  readonly #known = new Map<string, string>()

  of(key: string): string {
    return this.#known.get(key) ?? unknownIncarnation
  }

  met(key: string, incarnation: string): void {
    const before = this.of(key)
    if (before === incarnation) return
    if (before !== unknownIncarnation) this.ended += 1
    this.#known.set(key, incarnation)
  }
}

/** Fields and values in turn, as HGETALL answers. */
export function positionsIn(fields: readonly (string | Buffer)[]): {
  incarnation: string
  positions: Map<number, number>
} {
  const positions = new Map<number, number>()
  let incarnation = unknownIncarnation
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [String(fields[i]), String(fields[i + 1])]
    if (name === incarnationField) incarnation = value
    else positions.set(Number(name), Number(value))
  }
  return { incarnation, positions }
}
