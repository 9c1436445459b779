import type { Decided, DecidedEvent, Explained, ExplainedEvent } from './stages.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { ScoreParts } from '../scoring/scored-text.ts'
import { createReasonWriter, type ReasonWriter } from '../scoring/explain/reason.ts'
import { servicePlan } from '../scoring/service.ts'
import { createVectorWriter, type VectorWriter } from '../scoring/vector.ts'
import type { Scorer } from '../ports/scorer.ts'

/**
 * Finds why an event is not approved, or why its model cannot say. It reads only the event and the definitions, so that
 * a replay finds the same (I2).
 */
export type Explain = (decided: readonly Decided[]) => Explained[]

/** What writes the reasons of one service. */
interface Telling {
  readonly vector: VectorWriter
  readonly elements: readonly number[]
  readonly write: ReasonWriter
}

/** `features` are the definitions that word the reasons; without them no event has reasons. */
export function createExplain(plan: FeaturePlan, features: readonly FeatureManifest[] | undefined): Explain {
  const tellings = new Map<string, Telling>()
  const tellingOf = ({ service }: Scorer, words: readonly FeatureManifest[]): Telling => {
    const known = tellings.get(service) ?? createTelling(plan, service, words)
    tellings.set(service, known)
    return known
  }
  const reasonsOf = ({ rollout: { champion }, values, decision }: DecidedEvent): ScoreParts['reasons'] => {
    const { explanations } = champion
    if (features === undefined || decision === 'approve' || explanations === undefined) return null
    if (explanations.kind === 'unavailable') return explanations.code
    const { explainer } = explanations
    const { vector, elements, write } = tellingOf(champion, features)
    return write({
      contributions: explainer.contributions(vector.vectorOf(values)),
      values: elements.map((index) => values[index] ?? NaN),
      stats: explainer.stats,
    })
  }
  return (decided) => decided.map((one) => (one.kind === 'decided' ? explained(one, reasonsOf(one)) : one))
}

function explained(event: DecidedEvent, reasons: ScoreParts['reasons']): ExplainedEvent {
  const { record, decoded, responses, verdict, rollout, values, score, shadows, decision, policy } = event
  return {
    kind: 'explained',
    record,
    decoded,
    responses,
    verdict,
    rollout,
    values,
    score,
    shadows,
    decision,
    policy,
    reasons,
  }
}

function createTelling(plan: FeaturePlan, service: string, words: readonly FeatureManifest[]): Telling {
  const own = servicePlan(plan, service)
  const vector = createVectorWriter(plan.values, own)
  return { vector, elements: own.vector, write: createReasonWriter(vector.names, words) }
}
