import { createMemoryEngine } from '../../../../src/engine/memory-engine.ts'
import type { FeatureSetManifest } from '../../../../src/engine/feature-set.ts'
import { verdictOf } from '../../../../src/engine/observe.ts'
import type { FeaturePlan } from '../../../../src/engine/plan.ts'
import { encodeState } from '../../../../src/engine/state-codec/state-blob.ts'
import type { EventCatalog } from '../../../../src/events/event.ts'
import type { LogRecord } from '../../../../src/ports/log.ts'
import { createAssemble } from '../../../../src/process/assemble.ts'
import { createCompose } from '../../../../src/process/compose.ts'
import { createDecide } from '../../../../src/process/decide.ts'
import { createDecode } from '../../../../src/process/decode.ts'
import { createExplain } from '../../../../src/process/explain.ts'
import { createScore } from '../../../../src/process/score.ts'
import type { LoadedRollout } from '../../../../src/process/models/model-pool.ts'
import type { Decoded, Observed } from '../../../../src/process/stages.ts'
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

/** Runs events through the engine and the stages of the processor, in this order, and answers both topics. */
export async function runWith(
  { plan, catalog, manifest }: RunDefinitions,
  models: ReadonlyMap<string, LoadedRollout>,
  sentEvents: readonly Sent[],
): Promise<LogContent> {
  const engine = createMemoryEngine(plan, { asStored: true })
  const metrics = { shadowFailed: () => undefined, unscored: () => undefined }
  const [decode, assemble] = [createDecode(catalog, plan), createAssemble(plan)]
  const [score, decide] = [createScore({ plan, metrics }), createDecide(plan)]
  const [explain, compose] = [
    createExplain(plan, manifest.features),
    createCompose({ plan, catalog, topics: allTopics }),
  ]
  const observe = (decoded: Decoded): Observed => {
    if (decoded.kind === 'invalid') return decoded
    const responses = engine.apply(decoded.event, decoded.observedAtMs, decoded.record, decoded.isScored)
    const verdict = verdictOf(responses[0]?.outcome ?? 'applied')
    return verdict === 'duplicate'
      ? { kind: 'duplicate', record: decoded.record, decoded }
      : { kind: 'applied', record: decoded.record, decoded, responses, verdict }
  }
  const servings = new Map([...models].map(([eventType, rollout]) => [eventType, [{ from: 0, rollout }]]))
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
    const observed = decode(batchOf([record]), null).map(observe)
    const scored = await score(assemble(observed, servings))
    for (const { topic, key, value } of compose(explain(decide(scored)))) {
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
