import { createAssemble, due, servingsOf } from './assemble.ts'
import { createCompose } from './compose.ts'
import { createDecide } from './decide.ts'
import { createDecode } from './decode.ts'
import { checkEpoch, stateMoved, type BatchPosition, type EntityStates, type StatesAhead } from './entity-states.ts'
import { createExplain } from './explain.ts'
import type { ProcessMetrics } from './metrics.ts'
import { withRetry, type RetryPolicy, type Sleeper } from './retry.ts'
import { createScore } from './score.ts'
import type { ServingModels } from './models/serving.ts'
import { answer, groupByEntity, judged, observe, settlingOrder, writesOf, type Answering } from './settle.ts'
import type { Observed, Unscored } from './stages.ts'
import { assert } from '../base/errors.ts'
import type { EventCatalog } from '../events/event.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import { unlessStalled } from '../isolation/stall.ts'
import type { Blame } from '../isolation/trial.ts'
import type { Clock } from '../ports/clock.ts'
import type { EventLog, LogBatch } from '../ports/log.ts'
import type { StateStore } from '../ports/states.ts'
import type { Logger } from '../ports/telemetry.ts'

/*
 * `createPipeline` runs one batch of a partition. Each stage is pure, or may be repeated without harm, and adds to what
 * is known of each event (stages.ts). The rules that a batch keeps, and where:
 *
 * R1  observe       an event below the entity's next offset was applied before: the stored response answers it
 * R2  load…write    all observations on an entity are one write; a lost compare-and-set loads and observes it again
 * R3  observe       stored responses are pruned only below the first offset of the batch
 * R4  processor.ts  the next batch begins after this one is published and committed
 * R5  answer        a stored response is gone: another worker published and committed its event (`goneOffset`)
 * R6  advance       the position of the partition is written after its entities
 * R7  due           after a rewind nothing below `publishFrom` is published again
 * G2  servingsOf    which models score a batch is asked after its position was advanced
 */

export interface PipelineOptions {
  readonly log: Pick<EventLog, 'publish'>
  readonly store: StateStore
  readonly states: Pick<EntityStates, 'load' | 'write' | 'cached'>
  /** By type of scored event. */
  readonly models: ReadonlyMap<string, ServingModels>
  readonly catalog: EventCatalog
  readonly plan: FeaturePlan
  /** The definitions that word the reasons; left out, decisions have no reasons. */
  readonly features?: readonly FeatureManifest[]
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  readonly retry: RetryPolicy
  /** Milliseconds of the loop clock in which one try of a step of our code must settle (`handler_stalled`). */
  readonly stallMs: number
  readonly clock: Clock
  readonly metrics: ProcessMetrics
  readonly logger: Logger
}

export interface BatchRun {
  /** The run publishes nothing below it: that was published before the states were rewound (R7). */
  readonly publishFrom: number
  /** The connection of the state store on which the start of this assignment was decided. */
  readonly epoch: number
  /** The partition's position, as the store knew it last. */
  readonly applied: number
  /** A step that times out fails the run at once: the caller tries fewer records. */
  readonly isDivisible: boolean
  /** What the run leaves out of its one record, which failed again and again; null when all is well. */
  readonly blame?: Blame | null
  /** To sleep by between two tries. */
  readonly clock: Sleeper
  readonly signal: AbortSignal
}

export interface BatchOutcome {
  /** Highest offset that another worker must have published and committed (R5), null when there is none. */
  readonly goneOffset: number | null
}

/** The batch is done when the promise resolves, and only then may the caller commit it and take the next (R4). */
export type Pipeline = (batch: LogBatch, run: BatchRun) => Promise<BatchOutcome>

export function createPipeline(options: PipelineOptions): Pipeline {
  const { log, store, states, models, catalog, plan, features, stallMs, clock, metrics, logger } = options
  const decode = createDecode(catalog, plan)
  const assemble = createAssemble(plan)
  const score = createScore(options)
  const decide = createDecide(plan)
  const explain = createExplain(plan, features)
  const compose = createCompose(options)

  return async (batch, { publishFrom, epoch, applied, isDivisible, clock: sleeper, signal, blame = null }) => {
    const retry = { ...options.retry, passTimeouts: isDivisible }
    const retrying = <Result>(step: string, run: () => Promise<Result>) =>
      withRetry(step, retry, { clock: sleeper, signal, logger }, run)
    const within = <Result>(step: string, run: () => Promise<Result>) =>
      retrying(step, () => unlessStalled(step, stallMs, run()))
    const startedMs = clock.nowMs()
    const place = placeOf(batch, applied, epoch)

    const decoded = decode(batch, blame)

    const settled = await within('observing', async () => {
      let settled: readonly Answering[] = []
      const ahead: StatesAhead = new Map()
      const waiting = settlingOrder(plan).map((entities) => groupByEntity(plan, entities, decoded))
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        let touched = judged(next, decoded, settled)
        while (touched.length > 0) {
          const loaded = await states.load(touched, place, ahead, waiting.flat())
          const answering = observe(loaded, place)
          const written = await states.write(answering, place)
          settled = [...settled, ...written.settled]
          touched = written.lost
        }
      }
      return settled
    })
    const observed = answer(plan, decoded, settled)

    await retrying('advancing', () => advance(store, batch, place))

    const toPublish = due(observed, publishFrom, blame)
    const records = await within('scoring', async () => {
      const servings = await servingsOf(models, batch, toPublish)
      const assembled = assemble(toPublish, servings)
      const scored = await score(assembled)
      const decided = decide(scored)
      const explained = explain(decided)
      return compose(explained)
    })

    // A repeated publish may leave copies, and copies are equal.
    if (records.length > 0) await retrying('publishing', () => log.publish(records))

    const published = records.length
    const { cached } = states
    const tallied = { ...writesOf(settled), published, cached, startedMs, endedMs: clock.nowMs() }
    metrics.batch({ batch, observed, ...tallied })
    return { goneOffset: goneIn(toPublish) }
  }
}

function placeOf({ topic, partition, records }: LogBatch, applied: number, epoch: number): BatchPosition {
  const [first] = records
  assert(first !== undefined, 'a batch has records')
  return { topic, partition, applied, floorOffset: first.offset, epoch }
}

/** Advances the position where the states are: a store that came back may have lost them. Errors: `state_moved`. */
async function advance(store: StateStore, { next }: LogBatch, place: BatchPosition): Promise<void> {
  const { topic, partition, applied, epoch } = place
  checkEpoch(store, epoch)
  const isIntact = await store.advance(topic, partition, next, applied)
  if (!isIntact) throw stateMoved('the state store was emptied during a batch')
}

function goneIn(events: readonly (Observed | Unscored)[]): number | null {
  return events.findLast(({ kind }) => kind === 'gone')?.record.offset ?? null
}
