import type { Outside } from './invariants.ts'
import type { OutgoingRecord } from '../../../src/ports/log.ts'

interface EmittedAt {
  /** Missing in a label that was sent again: it answers no record. */
  readonly data?: { readonly position?: { readonly partition: number; readonly offset: number } }
}

/**
 * I4, while it happens: what was acknowledged by the score and dead-letter topics, across all workers and crashes, and
 * whether anything was committed that is not there or that the states do not know.
 */
export class Witness {
  readonly #published = new Set<string>()
  readonly violations: string[] = []
  commits = 0

  published(records: readonly OutgoingRecord[]): void {
    for (const { value } of records) {
      const { data } = JSON.parse(typeof value === 'string' ? value : Buffer.from(value).toString()) as EmittedAt
      const position = data?.position
      if (position !== undefined) this.#published.add(`${position.partition}:${position.offset}`)
    }
  }

  async committing(world: Outside, partition: number, next: number): Promise<void> {
    this.commits += 1
    const applied = (await world.store.positions(world.topics.events)).get(partition) ?? 0
    if (applied < next) this.violations.push(`I4: ${partition} committed to ${next}, applied to ${applied}`)
    for (let offset = 0; offset < next; offset += 1) {
      if (!this.#published.has(`${partition}:${offset}`)) {
        this.violations.push(`I4: ${partition} committed to ${next}, and ${offset} was not published`)
      }
    }
  }
}
