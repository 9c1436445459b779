import { createEmission, isDue } from './emission.ts'
import { checkEpoch, stateMoved, type EntityStates } from './entity-states.ts'
import { blamedRecord, takeIn, type EventIntake } from './intake.ts'
import type { ProcessMetrics } from './metrics.ts'
import { observeBatch, type Effect } from './observe-batch.ts'
import { withRetry, type RetryPolicy, type Sleeper } from './retry.ts'
import type { Serving, ServingModels } from './serving.ts'
import { assert } from '../base/errors.ts'
import type { EventCatalog } from '../events/event.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import { unlessStalled } from '../isolation/stall.ts'
import type { Blame } from '../isolation/trial.ts'
import type { EventLog, LogBatch } from '../ports/log.ts'
import type { StateStore } from '../ports/states.ts'
import type { Logger } from '../ports/telemetry.ts'

export interface PipelineOptions {
  readonly log: Pick<EventLog, 'publish'>
  readonly store: StateStore
  readonly states: EntityStates
  /** By type of the scored events. */
  readonly models: ReadonlyMap<string, ServingModels>
  readonly catalog: EventCatalog
  readonly plan: FeaturePlan
  /** Of the definitions, for the words of reasons; left out, decisions come without. */
  readonly features?: readonly FeatureManifest[]
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  readonly retry: RetryPolicy
  /** Of the loop clock: one try of a step that runs our code must settle within it (`handler_stalled`). */
  readonly stallMs: number
  readonly clock: Sleeper
  readonly metrics: ProcessMetrics
  readonly logger: Logger
}

export interface BatchRun {
  /** Nothing below is published: it was, before the states were rewound (R7). */
  readonly publishFrom: number
  /** The connection of the state store on which the start of this claim was decided. */
  readonly epoch: number
  /** The partition's position, as the store knew it last. */
  readonly applied: number
  /** A step that times out fails the run at once: the caller tries fewer records. */
  readonly isDivisible: boolean
  /** What is left out of the one record of this run, because it failed again and again; null for all that is well. */
  readonly blame?: Blame | null
  readonly signal: AbortSignal
}

export interface BatchOutcome {
  /** Highest offset that another worker must have published and committed (R5), null when there is none. */
  readonly goneOffset: number | null
}

export type Pipeline = (batch: LogBatch, run: BatchRun) => Promise<BatchOutcome>

/**
 * The whole story of one batch of one partition. Every step is pure, or may be repeated without harm; the batch is done
 * when the promise resolves, and only then may the caller commit it and take the next (R4).
 */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { log, store, states, models, catalog, plan, stallMs, clock, metrics, logger } = options
  const emit = createEmission(options)

  return async (batch, { publishFrom, epoch, applied, isDivisible, signal, blame = null }) => {
    const retry = { ...options.retry, passTimeouts: isDivisible }
    const retrying = <Result>(step: string, run: () => Promise<Result>) =>
      withRetry(step, retry, { clock, signal, logger }, run)
    const within = <Result>(step: string, run: () => Promise<Result>) =>
      retrying(step, () => unlessStalled(step, stallMs, run()))
    const startedMs = clock.nowMs()
    const first = batch.records[0]
    assert(first !== undefined, 'a batch has records')

    // decode and validate
    assert(blame === null || batch.records.length === 1, 'a record is blamed alone')
    const isLeftOut = blame?.leaveOut === 'everything'
    const intake = isLeftOut ? [blamedRecord(first, blame)] : takeIn(batch, catalog, plan)
    const events = intake.filter((item): item is EventIntake => item.kind === 'event')

    // load entity states, observe, write them
    const { topic, partition, next } = batch
    const place = { topic, partition, applied, floorOffset: first.offset, epoch }
    const observed = await within('observing', () => observeBatch(states, plan, events, place))

    // the position only after its entities (R6), and only where they are: a store that came back may have lost them
    await retrying('advancing', async () => {
      checkEpoch(store, epoch)
      const isIntact = await store.advance(topic, partition, next, applied)
      if (!isIntact) throw stateMoved('the state store was emptied during a batch')
    })

    // assemble vectors, score, decide: by the models of each offset, which are known for good only now
    const due = observed.effects.filter((effect) => effect.item.record.offset >= publishFrom)
    const records = await within('scoring', async () =>
      emit(
        intake.filter((item) => item.record.offset >= publishFrom),
        due,
        blame === null ? await servingsOf(models, batch, due) : new Map(),
        blame,
      ),
    )

    // publish; a repeated publish may leave copies, and copies are equal
    if (records.length > 0) await retrying('publishing', () => log.publish(records))

    const { cached } = states
    metrics.batch({ batch, intake, observed, published: records.length, cached, startedMs, endedMs: clock.nowMs() })
    const gone = due.filter((effect) => effect.kind === 'gone').map((effect) => effect.item.record.offset)
    return { goneOffset: gone.at(-1) ?? null }
  }
}

/** By type of the events that are due, who scores them from the first one on. */
async function servingsOf(
  models: PipelineOptions['models'],
  { topic, partition }: LogBatch,
  due: readonly Effect[],
): Promise<ReadonlyMap<string, readonly Serving[]>> {
  const servings = new Map<string, readonly Serving[]>()
  for (const effect of due) {
    const { eventType } = effect.item.event
    if (!isDue(effect) || servings.has(eventType)) continue
    const serving = models.get(eventType)
    assert(serving !== undefined, `there are models for ${eventType}`)
    servings.set(eventType, await serving(topic, partition, effect.item.record.offset))
  }
  return servings
}
