import { RiverbankError } from '../../../src/base/errors.ts'
import { partitionOf } from '../../../src/events/partitioner.ts'
import type { LogRecord, OutgoingRecord, PartitionRange, Position } from '../../../src/ports/log.ts'

/** When the log took its first record: after the traffic's own times, as a log does. */
const firstAppendMs = Date.UTC(2026, 5, 1)

/** A log of a few lines: who owns a partition is a generation, and a commit of an older one is fenced. */
export class MemoryLog {
  readonly partitions: number
  readonly #topics = new Map<string, LogRecord[][]>()
  readonly #committed = new Map<number, number>()
  readonly #generations: number[]

  constructor(partitions: number) {
    this.partitions = partitions
    this.#generations = Array.from({ length: partitions }, () => 0)
  }

  publish(records: readonly OutgoingRecord[]): Position[] {
    return records.map(({ topic, key, value, headers = {}, partition: wanted }) => {
      const partition = wanted ?? partitionOf(key, this.partitions)
      const lanes = this.#lanes(topic)
      const lane = lanes[partition] ?? []
      const offset = lane.length
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
      lane.push({ topic, partition, offset, appendTimeMs: firstAppendMs + offset, key, value: bytes, headers })
      return { partition, offset }
    })
  }

  slice(topic: string, partition: number, from: number, to: number): LogRecord[] {
    return this.#lanes(topic)[partition]?.slice(from, to) ?? []
  }

  read(topic: string): LogRecord[] {
    return this.#lanes(topic).flat()
  }

  range(topic: string, partition: number): PartitionRange {
    return { partition, start: 0, end: this.#lanes(topic)[partition]?.length ?? 0 }
  }

  committed(partition: number): number | null {
    return this.#committed.get(partition) ?? null
  }

  positions(): ReadonlyMap<number, number> {
    return new Map(this.#committed)
  }

  /** A new owner; answers its generation. */
  take(partition: number): number {
    const generation = this.generation(partition) + 1
    this.#generations[partition] = generation
    return generation
  }

  generation(partition: number): number {
    return this.#generations[partition] ?? 0
  }

  commit(partition: number, generation: number, next: number): void {
    if (this.generation(partition) !== generation) throw new RiverbankError('fenced', 'another owner')
    this.#committed.set(partition, next)
  }

  #lanes(topic: string): LogRecord[][] {
    const lanes = this.#topics.get(topic) ?? Array.from({ length: this.partitions }, () => [])
    this.#topics.set(topic, lanes)
    return lanes
  }
}
