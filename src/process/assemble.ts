import { assert } from '../base/errors.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { RecordFault } from '../events/codec/record-parts.ts'
import { createValues } from '../scoring/vector.ts'
import type { LogBatch } from '../ports/log.ts'
import { rolloutAt, type Serving, type ServingModels } from './models/serving.ts'
import type { Applied, Assembled, Observed, Unscored } from './stages.ts'

/**
 * Leaves out the records below `publishFrom`, which were published before the states were rewound (R7), and turns a
 * blamed record into one without a score.
 */
export function due(
  observed: readonly Observed[],
  publishFrom: number,
  blame: RecordFault | null,
): (Observed | Unscored)[] {
  const above = observed.filter(({ record }) => record.offset >= publishFrom)
  if (blame === null) return above
  const { code, detail } = blame
  return above.map((one) => {
    if (one.kind !== 'applied') return one
    const { record, decoded, responses, verdict } = one
    return { kind: 'unscored', record, decoded, responses, verdict, code, detail }
  })
}

/** By type of scored event, the models that score it, newest first: see {@link ServingModels}. */
export type Servings = ReadonlyMap<string, readonly Serving[]>

/** Call it after the position has passed the batch: only then is it final which models score the batch (G2). */
export async function servingsOf(
  models: ReadonlyMap<string, ServingModels>,
  { topic, partition }: Pick<LogBatch, 'topic' | 'partition'>,
  events: readonly (Observed | Unscored)[],
): Promise<Servings> {
  const servings = new Map<string, readonly Serving[]>()
  for (const one of events) {
    if (!isToScore(one) || servings.has(one.decoded.event.eventType)) continue
    const { eventType } = one.decoded.event
    const serving = models.get(eventType)
    assert(serving !== undefined, `there are models for ${eventType}`)
    servings.set(eventType, await serving(topic, partition, one.record.offset))
  }
  return servings
}

/** Computes all values of each event to score, once for all models, and names the models that score it. */
export type Assemble = (events: readonly (Observed | Unscored)[], servings: Servings) => Assembled[]

export function createAssemble(plan: FeaturePlan): Assemble {
  const { valuesOf } = createValues(plan.values)
  return (events, servings) =>
    events.map((one) => {
      if (!isToScore(one)) return one
      const { record, decoded, responses, verdict } = one
      const { event, observedAtMs } = decoded
      const rollout = rolloutAt(servings.get(event.eventType) ?? [], record.offset)
      const values = valuesOf(responses, event.data, observedAtMs)
      return { kind: 'assembled', record, decoded, responses, verdict, rollout, values }
    })
}

function isToScore(one: Observed | Unscored): one is Applied {
  return one.kind === 'applied' && one.decoded.isScored
}
