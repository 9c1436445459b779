import { createMemoryEngine } from '../../../../src/engine/engine.ts'
import type { FeatureSetManifest } from '../../../../src/engine/feature-set.ts'
import { verdictOf } from '../../../../src/engine/observe.ts'
import type { FeaturePlan } from '../../../../src/engine/plan.ts'
import { encodeState } from '../../../../src/engine/state-codec/state-blob.ts'
import type { EventCatalog } from '../../../../src/events/event.ts'
import type { LogRecord } from '../../../../src/ports/log.ts'
import { createEmission } from '../../../../src/process/emission.ts'
import { takeIn } from '../../../../src/process/intake.ts'
import type { Effect } from '../../../../src/process/observe-batch.ts'
import type { LoadedLineup } from '../../../../src/process/serving.ts'
import { batchOf, topics } from '../../support/feed.ts'

const allTopics = { ...topics, deadLetters: 'payments.dead-letters' }

/** An event on its way to a partition. */
export interface Sent {
  readonly partition: number
  readonly text: string
  readonly appendTimeMs: number
}

export interface LogContent {
  events: LogRecord[]
  scores: LogRecord[]
  /** What the store holds in the end, by `<entity>/<id>`. */
  states: Map<string, Uint8Array>
}

export interface RunDefinitions {
  readonly plan: FeaturePlan
  readonly catalog: EventCatalog
  readonly manifest: FeatureSetManifest
}

/** Runs events through the engine and the emission of the processor, in this order, and answers both topics. */
export async function runWith(
  { plan, catalog, manifest }: RunDefinitions,
  models: ReadonlyMap<string, LoadedLineup>,
  sentEvents: readonly Sent[],
): Promise<LogContent> {
  const engine = createMemoryEngine(plan, { asStored: true })
  const metrics = { shadowFailed: () => undefined, unscored: () => undefined }
  const emit = createEmission({ plan, catalog, topics: allTopics, metrics, features: manifest.features })
  const servings = new Map([...models].map(([eventType, lineup]) => [eventType, [{ from: 0, lineup }]]))
  const ends = new Map<string, number>()
  const place = (
    topic: string,
    partition: number,
    value: string | Uint8Array,
    appendTimeMs: number,
    key: string | null = null,
  ): LogRecord => {
    const offset = ends.get(`${topic}/${partition}`) ?? 0
    ends.set(`${topic}/${partition}`, offset + 1)
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    return { topic, partition, offset, appendTimeMs, key, value: bytes, headers: {} }
  }
  const content: LogContent = { events: [], scores: [], states: new Map() }
  for (const { partition, text, appendTimeMs } of sentEvents) {
    const record = place(topics.events, partition, text, appendTimeMs)
    content.events.push(record)
    const [item] = takeIn(batchOf([record]), catalog, plan)
    if (item === undefined) throw new Error('a record is taken in')
    const effects: Effect[] = []
    if (item.kind === 'event') {
      const snapshots = engine.apply(item.event, item.observedAtMs, record, item.scored)
      const verdict = verdictOf(snapshots[0]?.outcome ?? 'applied')
      effects.push(
        verdict === 'duplicate' ? { kind: 'duplicate', item } : { kind: 'applied', item, snapshots, verdict },
      )
    }
    for (const { topic, key, value } of await emit([item], effects, servings)) {
      if (topic === topics.scores) content.scores.push(place(topic, partition, value, appendTimeMs + 1, key))
    }
  }
  for (const [index, byId] of engine.states.entries()) {
    const entity = plan.entities[index]
    if (entity === undefined) continue
    for (const [id, state] of byId) content.states.set(`${entity.name}/${id}`, encodeState(entity, state))
  }
  return content
}
