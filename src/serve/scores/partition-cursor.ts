/** More partitions than any topic has here; bounds the text that a client can make us parse. */
const partitionsMax = 1_024

/**
 * A place in a topic of many partitions: the next offset of each. Partitions have no common order, so one offset would
 * not show another process, or a restarted one, what a client has seen.
 */
export class PartitionCursor {
  readonly #next: (number | undefined)[] = []

  static from(positions: Iterable<readonly [partition: number, next: number]>): PartitionCursor {
    const cursor = new PartitionCursor()
    for (const [partition, next] of positions) cursor.advance(partition, next)
    return cursor
  }

  /** Reads `0:12,3:7`; null when it is anything else. */
  static parse(text: string): PartitionCursor | null {
    const cursor = new PartitionCursor()
    if (text.length > partitionsMax * 22) return null
    for (const part of text.split(',')) {
      const match = /^(\d{1,4}):(\d{1,16})$/.exec(part)
      if (match === null) return null
      const [partition, next] = [Number(match[1]), Number(match[2])]
      if (partition >= partitionsMax || !Number.isSafeInteger(next) || cursor.next(partition) !== null) return null
      cursor.advance(partition, next)
    }
    return cursor
  }

  copy(): PartitionCursor {
    return PartitionCursor.from(this.positions())
  }

  next(partition: number): number | null {
    return this.#next[partition] ?? null
  }

  *positions(): Iterable<readonly [partition: number, next: number]> {
    for (const [partition, next] of this.#next.entries()) if (next !== undefined) yield [partition, next]
  }

  /** Forgets its place in a partition: a log created anew has other records under the same offsets. */
  reset(partition: number, next: number | null): void {
    this.#next[partition] = next ?? undefined
  }

  /** Never goes back. */
  advance(partition: number, next: number): void {
    this.#next[partition] = Math.max(next, this.#next[partition] ?? 0)
  }

  toString(): string {
    let text = ''
    for (let partition = 0; partition < this.#next.length; partition += 1) {
      const next = this.#next[partition]
      if (next !== undefined) text += `${text === '' ? '' : ','}${partition}:${next}`
    }
    return text
  }
}
