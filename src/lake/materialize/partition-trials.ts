import { markName, mayBeRecords, Trial, type Memos } from '../../isolation/trial.ts'
import type { Claim, LogRecord } from '../../ports/log.ts'
import type { Logger } from '../../ports/telemetry.ts'

/**
 * The marks of the partitions that a materializer holds: what its predecessors died of. Copying goes on where the memos are
 * out of reach, and deaths are not counted then.
 */
export class PartitionTrials {
  readonly #memos: Memos | null
  readonly #logger: Logger
  readonly #trials = new WeakMap<Claim, Trial>()

  constructor(memos: Memos | null, logger: Logger) {
    this.#memos = memos
    this.#logger = logger
  }

  /** After the lake was written to for this claim: a disk that hangs has hung there, and leaves no mark. */
  async begin(claim: Claim, position: number): Promise<void> {
    if (this.#memos === null) return
    try {
      const trial = await Trial.begin(this.#memos, markName('materialize', claim), position)
      this.#trials.set(claim, trial)
      if (!trial.isSuspicious) return
      const { topic, partition } = claim
      this.#logger.warn('processes ended here before: one record at a time', { topic, partition, from: position })
    } catch (error) {
      this.#logger.warn('no mark could be left: a death here is not counted', { error })
    }
  }

  /** Null where records are taken together. */
  suspicious(claim: Claim): Trial | null {
    const trial = this.#trials.get(claim)
    return trial?.isSuspicious === true ? trial : null
  }

  /** The claim got on, or is given back by a process that lives. */
  async end(claim: Claim): Promise<void> {
    const trial = this.#trials.get(claim)
    if (trial === undefined) return
    this.#trials.delete(claim)
    await trial.end().catch((error: unknown) => this.#logger.warn('a mark was left behind', { error }))
  }

  /** The mark of what may be a record's fault stays, as where the process died of it. */
  async failed(claim: Claim, error: unknown): Promise<void> {
    if (mayBeRecords(error)) this.#trials.delete(claim)
    else await this.end(claim)
  }
}

/** A record under which processes died, alone, as what can be told of it: its bytes, and a fault. */
export async function judged(trial: Trial, record: LogRecord): Promise<LogRecord> {
  const blame = await trial.tryAlone(record.offset)
  return blame === null ? record : { ...record, fault: { code: blame.code, detail: blame.detail } }
}
