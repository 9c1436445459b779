import { randomBytes } from 'node:crypto'

/** The field of a hash of positions that names its life, beside the partitions. */
export const lifeField = 'life'

/** Of a life that is not known: nothing is compared. */
const unknownLife = ''

/** What a hash without positions would call its life. */
export function newLife(): string {
  return randomBytes(12).toString('base64url')
}

/**
 * In which life this connection met each hash of positions: one begins with the first position, and ends when the store
 * is emptied. A position says how far a life has come, not which one it is: whoever slept while the store was emptied
 * and filled again would take one for the other.
 */
export class StateLives {
  /** How many have ended, as far as this connection noticed: part of the store's epoch. */
  ended = 0
  readonly #known = new Map<string, string>()

  of(key: string): string {
    return this.#known.get(key) ?? unknownLife
  }

  met(key: string, life: string): void {
    const before = this.of(key)
    if (before === life) return
    if (before !== unknownLife) this.ended += 1
    this.#known.set(key, life)
  }
}

/** Fields and values in turn, as HGETALL answers. */
export function positionsIn(fields: readonly (string | Buffer)[]): { life: string; positions: Map<number, number> } {
  const positions = new Map<number, number>()
  let life = unknownLife
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [String(fields[i]), String(fields[i + 1])]
    if (name === lifeField) life = value
    else positions.set(Number(name), Number(value))
  }
  return { life, positions }
}
