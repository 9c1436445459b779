import { partOf, type BatchSize } from './batch-size.ts'
import type { EntityStates } from './entity-states.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { BatchOutcome, Pipeline } from './pipeline.ts'
import { withRetry, type RetryPolicy, type Sleeper } from './retry.ts'
import type { StateMigration } from './state-migration.ts'
import { assert, isRiverbankError, RiverbankError } from '../core/errors.ts'
import type { Claim, GroupHandler, LogBatch, Logger, PartitionRange, StateStore } from '../ports.ts'

export interface ProcessorOptions {
  readonly pipeline: Pipeline
  readonly store: StateStore
  readonly states: EntityStates
  readonly migration: Pick<StateMigration, 'takeOver' | 'checkWhole'>
  /** The group's committed position now, as the log knows it. */
  readonly committed: (topic: string, partition: number) => Promise<number | null>
  /** What the partition holds now: a claim's own range is as old as the claim. Null when the topic is gone. */
  readonly range: (topic: string, partition: number) => Promise<PartitionRange | null>
  readonly retry: RetryPolicy
  readonly size: BatchSize
  readonly clock: Sleeper
  readonly metrics: ProcessMetrics
  readonly logger: Logger
}

/** What a claim goes by until it begins again. */
interface Current {
  readonly publishFrom: number
  readonly epoch: number
  applied: number
}

/** Where a claim begins to read, and from where on it publishes. */
export type Start =
  | { readonly kind: 'resume'; readonly readFrom: number; readonly publishFrom: number }
  | { readonly kind: 'stop'; readonly code: string; readonly reason: string }

/**
 * Compares the committed position with the one the states know. States ahead: applied, but never committed: replays
 * are answered from snapshots. States behind: they lost their tail: go back, apply again, publish nothing below the
 * commit (R7). States without any position: apply the log again, while it still begins at its beginning.
 */
export function startOf(claim: Pick<Claim, 'committed' | 'range'>, applied: number | null): Start {
  const { start, end } = claim.range
  const committed = claim.committed ?? start
  const position = Math.max(committed, applied ?? start)
  if (position > end) {
    const reason = `the log ends at ${end}, below the position ${position}: the topic was created anew`
    return { kind: 'stop', code: 'log_recreated', reason }
  }
  if (applied === null && committed > start && start > 0) {
    const reason = `the states know nothing, and the log begins at ${start} only: run riverbank rebuild`
    return { kind: 'stop', code: 'state_lost', reason }
  }
  const readFrom = Math.min(committed, applied ?? start)
  if (readFrom < start) {
    const reason = `position ${readFrom} is needed, and the log begins at ${start}: retention dropped what was not read`
    return { kind: 'stop', code: 'log_truncated', reason }
  }
  return { kind: 'resume', readFrom, publishFrom: committed }
}

interface Starts {
  /** What a claim goes by now, undefined before it began. */
  of(claim: Claim): Current | undefined
  /** Decides where a claim begins to read. */
  begin(claim: Claim, committed: number | null, range: PartitionRange): Promise<number>
  /** The store may have lost writes: decides the start of a claim again. All before the batch is committed (R4). */
  beginAgain(claim: Claim, batch: LogBatch, publishFrom: number): Promise<number>
}

function createStarts(options: ProcessorOptions): Starts {
  const { store, states, migration, metrics, logger } = options
  const starts = new WeakMap<Claim, Current>()

  async function begin(claim: Claim, committed: number | null, range: PartitionRange): Promise<number> {
    await retrying(options, claim, 'taking over the states', () => migration.takeOver(claim.topic))
    const { epoch, positions } = await retrying(options, claim, 'reading positions', async () => {
      const before = store.epoch
      return { epoch: before, positions: await store.positions(claim.topic) }
    })
    const applied = positions.get(claim.partition) ?? null
    const known = startOf({ committed, range }, applied)
    // The range was read before the positions: another owner may have gone on since, and the log with it.
    const isEndOld = known.kind === 'stop' && known.code === 'log_recreated'
    const start = isEndOld ? startOf({ committed, range: await rangeNow(options, claim) }, applied) : known
    if (start.kind === 'stop') {
      throw new RiverbankError(start.code, `${claim.topic}/${claim.partition}: ${start.reason}`)
    }
    const { readFrom, publishFrom } = start
    if (readFrom < publishFrom) {
      metrics.rewound(claim.topic, claim.partition, publishFrom - readFrom)
      logger.warn('the states lost their tail; applying again without publishing', {
        partition: claim.partition,
        from: readFrom,
        publishFrom,
      })
    }
    // Others may have written what this process still holds.
    states.clear()
    // From now on a store without this position is one that was emptied.
    if (applied === null) await retrying(options, claim, 'advancing', () => holdPlace(options, claim, readFrom))
    starts.set(claim, { publishFrom, epoch, applied: applied ?? readFrom })
    return readFrom
  }

  async function beginAgain(claim: Claim, batch: LogBatch, publishFrom: number): Promise<number> {
    const range = await rangeNow(options, claim)
    const position = batch.records[0]?.offset ?? batch.next
    return begin(claim, Math.max(publishFrom, position), range)
  }

  return { of: (claim) => starts.get(claim), begin, beginAgain }
}

/** The processor as a member of its group: decides where to start, runs batches, commits them. */
export function createProcessor(options: ProcessorOptions): GroupHandler {
  const { pipeline, size, metrics, logger } = options
  const starts = createStarts(options)

  /** Only a commit is left: alone it is tried again, so that nothing is published again for its sake. */
  async function commitPart(claim: Claim, batch: LogBatch, { goneOffset }: BatchOutcome, current: Current) {
    current.applied = Math.max(current.applied, batch.next)
    if (goneOffset !== null) {
      const ask = () => options.committed(claim.topic, claim.partition)
      const committed = await retrying(options, claim, 'reading the commit', ask)
      assert(committed !== null && committed > goneOffset, 'R5: a snapshot is gone only after its batch was committed')
    }
    const commit = () => claim.commit(batch.next)
    if (batch.next >= current.publishFrom) await retrying(options, claim, 'committing', commit)
    metrics.committed(batch.topic, batch.partition, batch.end - batch.next)
    size.succeed(batch.records.length)
  }

  /** A batch in parts of what is bearable now, each committed before the next begins (R4). */
  async function runBatch(claim: Claim, batch: LogBatch, current: Current): Promise<number> {
    // What timed out is halved here, whatever other partitions bear meanwhile: the tries are bounded.
    let most = Infinity
    for (let done = 0; ;) {
      const part = partOf(batch, done, Math.min(size.records, most))
      const { length } = part.records
      let outcome: BatchOutcome
      try {
        outcome = await pipeline(part, { ...current, isDivisible: length > 1, signal: claim.signal })
      } catch (error) {
        if (!isRiverbankError(error) || claim.signal.aborted) throw error
        if (error.code === 'state_moved') return starts.beginAgain(claim, part, current.publishFrom)
        if (!error.timedOut || length === 1) throw error
        size.shrink(length, 'timeout')
        most = Math.floor(length / 2)
        const fields = { partition: batch.partition, records: length, next: size.records, reason: error.message }
        logger.warn('a batch timed out, trying fewer events', fields)
        continue
      }
      await commitPart(claim, part, outcome, current)
      most = Infinity
      done += length
      if (done >= batch.records.length || claim.signal.aborted) return part.next
    }
  }

  return {
    assigned: (claim) => starts.begin(claim, claim.committed, claim.range),
    async batch(claim, batch) {
      const current = starts.of(claim)
      assert(current !== undefined, 'a batch belongs to a claim that began')
      try {
        return await runBatch(claim, batch, current)
      } catch (error) {
        throw failureOf(claim, error)
      }
    },
  }
}

function retrying<Result>(
  { retry, clock, logger }: ProcessorOptions,
  { signal }: Claim,
  step: string,
  run: () => Promise<Result>,
): Promise<Result> {
  return withRetry(step, retry, { clock, signal, logger }, run)
}

/** Either this sees a rebuild that has just begun, or the rebuild sees the position. */
async function holdPlace({ store, migration }: ProcessorOptions, { topic, partition }: Claim, next: number) {
  await store.advance(topic, partition, next)
  await migration.checkWhole()
}

async function rangeNow(options: ProcessorOptions, { topic, partition, signal }: Claim): Promise<PartitionRange> {
  const { clock, logger } = options
  const ask = () => options.range(topic, partition)
  const range = await withRetry('reading the range', options.retry, { clock, signal, logger }, ask)
  if (range === null) throw new RiverbankError('log_recreated', `topic ${topic} was deleted`)
  return range
}

/** What failed while the claim was lost is its next owner's business. */
function failureOf(claim: Claim, error: unknown): unknown {
  if (!claim.signal.aborted || !isRiverbankError(error)) return error
  if (!error.canRetry && error.code !== 'state_moved') return error
  return new RiverbankError('fenced', 'the claim ended during a batch', { cause: error })
}
