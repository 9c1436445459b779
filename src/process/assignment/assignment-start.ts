import type { EntityStates } from '../entity-states.ts'
import type { ProcessMetrics } from '../metrics.ts'
import { withRetry, type RetryPolicy, type Sleeper } from '../retry.ts'
import type { StateMigration } from './state-migration.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { PartitionAssignment, LogBatch, PartitionRange } from '../../ports/log.ts'
import type { StateStore } from '../../ports/states.ts'
import type { Logger } from '../../ports/telemetry.ts'

export interface StartOptions {
  readonly store: StateStore
  readonly states: EntityStates
  readonly migration: Pick<StateMigration, 'takeOver' | 'checkWhole'>
  /** The group's committed position now, as the log knows it. */
  readonly committed: (topic: string, partition: number) => Promise<number | null>
  /** The range of the partition now; an assignment's own is as old as the assignment. Null when the topic is gone. */
  readonly range: (topic: string, partition: number) => Promise<PartitionRange | null>
  /** Says whether the states as a whole may be used; left out, each assignment goes by its own position alone. */
  readonly guard?: StatesGuard
  readonly retry: RetryPolicy
  readonly clock: Sleeper
  readonly metrics: ProcessMetrics
  readonly logger: Logger
}

export interface StatesGuard {
  /** Checks the states now. Errors: `state_lost`, `state_rebuilding`, and others with which no assignment may begin. */
  require(): Promise<void>
  /** Whether the newest check refused the states. The processor asks before every batch: it must cost nothing. */
  isRefused(): boolean
  /** Milliseconds between two checks of an assignment that waits until the states are rebuilt. */
  readonly waitMs: number
}

/** An assignment's start, and how far it has applied since. */
export interface Current {
  readonly publishFrom: number
  readonly epoch: number
  applied: number
}

/** Where an assignment begins to read, and from where on it publishes. */
export type Start =
  | { readonly kind: 'resume'; readonly readFrom: number; readonly publishFrom: number }
  | { readonly kind: 'stop'; readonly code: string; readonly reason: string }

/**
 * Compares the committed position with the store's. Store ahead: the events were applied and never committed; stored
 * responses answer their replay. Store behind: it lost its tail; the processor goes back, applies again, and publishes
 * nothing below the commit (R7). Store without a position: nothing was committed (the guard refuses lost states), so
 * the log is applied from its beginning.
 */
export function startOf(assignment: Pick<PartitionAssignment, 'committed' | 'range'>, applied: number | null): Start {
  const { start, end } = assignment.range
  const committed = assignment.committed ?? start
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

export interface Starts {
  /** The current start of an assignment, undefined before it began. */
  of(assignment: PartitionAssignment): Current | undefined
  /** Decides where an assignment begins to read; waits until the states are whole. */
  begin(assignment: PartitionAssignment): Promise<number>
  /** The store may have lost writes: decides the assignment's start again. All before the batch is committed (R4). */
  beginAgain(assignment: PartitionAssignment, batch: LogBatch, publishFrom: number): Promise<number>
}

export function createStarts(options: StartOptions): Starts {
  const { store, states, migration } = options
  const starts = new WeakMap<PartitionAssignment, Current>()

  /** Retries a start as a whole. */
  const begin = (
    assignment: PartitionAssignment,
    committed: number | null,
    range: PartitionRange | null,
  ): Promise<number> =>
    onceWhole(options, assignment, range, (rangeThen) =>
      retrying(options, assignment, 'beginning', () => beginOnce(assignment, committed, rangeThen)),
    )

  /** One attempt: whichever step fails, all of it may be repeated without harm. */
  async function beginOnce(
    assignment: PartitionAssignment,
    committed: number | null,
    rangeThen: PartitionRange | null,
  ): Promise<number> {
    const range = rangeThen ?? (await rangeNow(options, assignment))
    await migration.takeOver(assignment.topic)
    const { epoch } = store
    const positions = await store.positions(assignment.topic)
    const applied = positions.get(assignment.partition) ?? null
    await checkGuard(options, assignment, applied)
    const known = startOf({ committed, range }, applied)
    // The range is older than the positions: the log may have grown, and another owner advanced with it.
    const isEndOld = known.kind === 'stop' && known.code === 'log_recreated'
    const start = isEndOld ? startOf({ committed, range: await rangeNow(options, assignment) }, applied) : known
    if (start.kind === 'stop') {
      throw new RiverbankError(start.code, `${assignment.topic}/${assignment.partition}: ${start.reason}`)
    }
    const { readFrom, publishFrom } = start
    // From now on a store without this position is one that was emptied.
    if (applied === null) await holdPlace(options, assignment, readFrom)
    if (readFrom < publishFrom) tellRewind(options, assignment, readFrom, publishFrom)
    // Other processes may have written states that this one still caches.
    states.clear()
    starts.set(assignment, { publishFrom, epoch, applied: applied ?? readFrom })
    return readFrom
  }

  return {
    of: (assignment) => starts.get(assignment),
    begin: (assignment) => begin(assignment, assignment.committed, assignment.range),
    beginAgain(assignment, batch, publishFrom) {
      const position = batch.records[0]?.offset ?? batch.next
      return begin(assignment, Math.max(publishFrom, position), null)
    },
  }
}

export function retrying<Result>(
  { retry, clock, logger }: Pick<StartOptions, 'retry' | 'clock' | 'logger'>,
  { signal }: PartitionAssignment,
  step: string,
  run: () => Promise<Result>,
): Promise<Result> {
  return withRetry(step, retry, { clock, signal, logger }, run)
}

/** Waits, with the assignment, while the states are lost or being rebuilt; then begins with what `rebuild` made. */
async function onceWhole(
  options: StartOptions,
  assignment: PartitionAssignment,
  range: PartitionRange | null,
  begin: (range: PartitionRange | null) => Promise<number>,
): Promise<number> {
  const { guard, clock, logger } = options
  const { partition, signal } = assignment
  for (let waited = false; ; waited = true) {
    try {
      return await begin(waited ? null : range)
    } catch (error) {
      if (guard === undefined || !isRiverbankError(error) || !mendedByRebuild.has(error.code)) throw error
      if (!waited) logger.error('waiting for the states', { partition, code: error.code })
      await clock.sleep(guard.waitMs, signal)
      if (signal.aborted) throw new RiverbankError('fenced', 'the assignment ended while it waited', { cause: error })
    }
  }
}

/** Codes of the errors that `riverbank rebuild` mends while the processors run. */
const mendedByRebuild: ReadonlySet<string> = new Set(['state_lost', 'state_rebuilding'])

/**
 * Runs after the positions were read, so that it sees a store emptied since. A partition that was committed and has no
 * position never begins anew: it would compute published values again, in another order (R7).
 */
async function checkGuard(
  { guard, committed }: StartOptions,
  { topic, partition }: PartitionAssignment,
  applied: number | null,
) {
  if (guard === undefined) return
  await guard.require()
  if (applied !== null || ((await committed(topic, partition)) ?? 0) === 0) return
  throw new RiverbankError('state_lost', `the states know no position of ${topic}/${partition}, which was committed`)
}

function tellRewind(
  { metrics, logger }: StartOptions,
  { topic, partition }: PartitionAssignment,
  from: number,
  publishFrom: number,
) {
  metrics.rewound(topic, partition, publishFrom - from)
  logger.warn('the states lost their tail; applying again without publishing', { partition, from, publishFrom })
}

/** Either this sees a rebuild that has just begun, or the rebuild sees the position. */
async function holdPlace({ store, migration }: StartOptions, { topic, partition }: PartitionAssignment, next: number) {
  await store.advance(topic, partition, next)
  await migration.checkWhole()
}

async function rangeNow(options: StartOptions, { topic, partition }: PartitionAssignment): Promise<PartitionRange> {
  const range = await options.range(topic, partition)
  if (range === null) throw new RiverbankError('log_recreated', `topic ${topic} was deleted`)
  return range
}
