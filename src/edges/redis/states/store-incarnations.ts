import { randomBytes } from 'node:crypto'

/** The field of a hash of positions, beside the partitions, with the store's incarnation. */
export const incarnationField = 'life'

/** An unknown incarnation: it is not compared. */
const unknownIncarnation = ''

/** The id of a new incarnation, for a hash without positions. */
export function newIncarnation(): string {
  return randomBytes(12).toString('base64url')
}

/**
 * The incarnation in which this connection met each hash of positions: it begins with the first position, and ends when
 * the store is emptied. Positions alone do not identify an incarnation: a process that slept while the store was
 * emptied and filled again would take one for the other.
 */
export class StoreIncarnations {
  /** The number of incarnations that this connection saw end: part of the store's epoch. */
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
