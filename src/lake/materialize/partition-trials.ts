import { markName, mayBeRecords, Trial, type StoreMetadata } from '../../isolation/trial.ts'
import type { PartitionAssignment, LogRecord } from '../../ports/log.ts'
import type { Logger } from '../../ports/telemetry.ts'

/**
 * The marks of the partitions that a materializer holds: what its predecessors died of. Without the store metadata
 * copying goes on, and deaths are not counted.
 */
export class PartitionTrials {
  readonly #storeMetadata: StoreMetadata | null
  readonly #logger: Logger
  readonly #trials = new WeakMap<PartitionAssignment, Trial>()

  constructor(storeMetadata: StoreMetadata | null, logger: Logger) {
    this.#storeMetadata = storeMetadata
    this.#logger = logger
  }

  /** Called after this assignment's first write to the lake: a disk that hangs did so there, and leaves no mark. */
  async begin(assignment: PartitionAssignment, position: number): Promise<void> {
    if (this.#storeMetadata === null) return
    try {
      const trial = await Trial.begin(this.#storeMetadata, markName('materialize', assignment), position)
      this.#trials.set(assignment, trial)
      if (!trial.isSuspicious) return
      const { topic, partition } = assignment
      this.#logger.warn('processes ended here before: one record at a time', { topic, partition, from: position })
    } catch (error) {
      this.#logger.warn('no mark could be left: a death here is not counted', { error })
    }
  }

  /** Null where records are taken together. */
  suspicious(assignment: PartitionAssignment): Trial | null {
    const trial = this.#trials.get(assignment)
    return trial?.isSuspicious === true ? trial : null
  }

  /** The assignment made progress, or a live process gives it back. */
  async end(assignment: PartitionAssignment): Promise<void> {
    const trial = this.#trials.get(assignment)
    if (trial === undefined) return
    this.#trials.delete(assignment)
    await trial.end().catch((error: unknown) => this.#logger.warn('a mark was left behind', { error }))
  }

  /** Keeps the mark of what may be a record's fault, as if the process had died of it. */
  async failed(assignment: PartitionAssignment, error: unknown): Promise<void> {
    if (mayBeRecords(error)) this.#trials.delete(assignment)
    else await this.end(assignment)
  }
}

/** Tries a record alone; answers one under which processes died as its bytes and a fault. */
export async function judged(trial: Trial, record: LogRecord): Promise<LogRecord> {
  const blame = await trial.tryAlone(record.offset)
  return blame === null ? record : { ...record, fault: { code: blame.code, detail: blame.detail } }
}
