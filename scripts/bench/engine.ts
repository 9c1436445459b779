import { decodeState, encodeState } from '../../src/engine/states.ts'
import { labelDelayMs } from './feed.ts'
import { eachRound, sized, type Run } from './run.ts'
import { history } from '../../features/simulator/history.ts'
import { generatePayments } from '../../features/simulator/payments.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { createMemoryEngine, type EngineEvent, type MemoryEngine } from '../../src/engine/memory-engine.ts'
import { assert } from '../../src/base/errors.ts'
import { encodeEvent, type EventCatalog } from '../../src/events/event.ts'
import { decodeEvent } from '../../src/events/decode-event.ts'
import { partitionOf } from '../../src/events/partitioner.ts'
import type { EntityPlan } from '../../src/engine/plan.ts'

const fullWarmUpEvents = 20_000
const fullPayments = 60_000
const codecStates = 2_000
/** A processor under load takes up to 500 at once; one that keeps up, a few. */
const batchEvents = 64

export interface LoggedEvent {
  readonly bytes: Uint8Array
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

/** Events as a log of four partitions would hold them, which took each the moment it happened. */
export function* loggedEvents(payments: number, partitions = 4): Generator<LoggedEvent> {
  const encoder = new TextEncoder()
  const offsets = new Array<number>(partitions).fill(0)
  for (const event of history(generatePayments({ limit: payments }), { labelDelayMs })) {
    const partition = partitionOf(event.aggregateId, partitions)
    const offset = offsets[partition] ?? 0
    offsets[partition] = offset + 1
    yield { bytes: encoder.encode(encodeEvent(event)), partition, offset, appendTimeMs: event.timestamp }
  }
}

/** The processor's work on a batch without log, store and model: decodes events, observes them, answers features. */
export function applyLogged(engine: MemoryEngine, catalog: EventCatalog, batch: readonly LoggedEvent[]): void {
  engine.applyAll(
    batch.map((logged): EngineEvent => {
      const result = decodeEvent(logged.bytes, catalog, logged.appendTimeMs)
      assert(result.kind === 'valid', 'the simulator makes valid events')
      const { event, observedAt: observedAtMs } = result
      return { event, observedAtMs, position: logged, reads: event.eventType === 'payment.initiated' }
    }),
  )
}

function applyInBatches(engine: MemoryEngine, catalog: EventCatalog, events: readonly LoggedEvent[]): void {
  for (let from = 0; from < events.length; from += batchEvents) {
    applyLogged(engine, catalog, events.slice(from, from + batchEvents))
  }
}

/**
 * Measures the pure engine on one core, with the young generation of roles (see package.json), and the coding of
 * states.
 */
export async function benchEngine(run: Run): Promise<void> {
  const { plan, catalog } = definitions(readConfig({}))
  const warmUpEvents = sized(run, fullWarmUpEvents, 500)
  const events = [...loggedEvents(sized(run, fullPayments, 500) + warmUpEvents)]
  await eachRound(run, 'engine', (): Promise<void> => {
    const engine = createMemoryEngine(plan)
    applyInBatches(engine, catalog, events.slice(0, warmUpEvents))
    const measured = events.slice(warmUpEvents)
    const seconds = secondsOf(() => {
      applyInBatches(engine, catalog, measured)
    })
    const metric = { benchmark: 'engine', driver: null, unit: 'events/s' } as const
    run.record({ ...metric, name: 'decode, observe, snapshot' }, measured.length / seconds)
    for (const [index, entity] of plan.entities.entries()) benchCodec(run, entity, engine, index)
    return Promise.resolve()
  })
}

function benchCodec(run: Run, entity: EntityPlan, engine: MemoryEngine, index: number): void {
  const states = [...(engine.states[index]?.values() ?? [])].slice(0, codecStates)
  let blobs: Uint8Array[] = []
  const encoding = secondsOf(() => (blobs = states.map((state) => encodeState(entity, state))))
  const decoding = secondsOf(() => {
    for (const blob of blobs) decodeState(entity, blob)
  })
  const metric = { benchmark: 'engine', driver: null, unit: 'µs/state' } as const
  run.record({ ...metric, name: `encode ${entity.name}` }, (encoding * 1e6) / states.length)
  run.record({ ...metric, name: `decode ${entity.name}` }, (decoding * 1e6) / states.length)
}

function secondsOf(work: () => void): number {
  const startedMs = performance.now()
  work()
  return (performance.now() - startedMs) / 1_000
}
