import type { Decided, DecidedEvent, DecodedEvent, Scored, ScoredEvent } from './stages.ts'
import { decide } from '../scoring/decision.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { Scorer } from '../ports/scorer.ts'

/** Decides by the champion's policy, or by its thresholds where it has no policy. */
export type Decide = (scored: readonly Scored[]) => Decided[]

export function createDecide({ entities }: FeaturePlan): Decide {
  const names = entities.map(({ name }) => name)
  return (scored) => scored.map((one) => (one.kind === 'scored' ? decided(names, one) : one))
}

function decided(names: readonly string[], event: ScoredEvent): DecidedEvent {
  const { record, decoded, responses, verdict, rollout, values, score, shadows } = event
  const { decision, policy } = decisionOf(names, event)
  return { kind: 'decided', record, decoded, responses, verdict, rollout, values, score, shadows, decision, policy }
}

function decisionOf(names: readonly string[], event: ScoredEvent): Pick<DecidedEvent, 'decision' | 'policy'> {
  const { decoded, rollout, values, score } = event
  const { decider, thresholds } = rollout.champion
  if (decider === undefined) return { decision: decide(score, thresholds), policy: null }
  const input = { entityIds: listedIds(names, decider, decoded), data: decoded.event.data, score, values }
  const { decision, decidedBy } = decider.decide(input)
  return { decision, policy: { version: decider.version, decidedBy } }
}

const noIds: Readonly<Record<string, string | null>> = {}

/** The ids of the event's entities that the policy has lists of. */
function listedIds(
  names: readonly string[],
  { entities }: NonNullable<Scorer['decider']>,
  { entityIds }: DecodedEvent,
): Readonly<Record<string, string | null>> {
  if (entities.length === 0) return noIds
  return Object.fromEntries(entities.map((name) => [name, entityIds[names.indexOf(name)] ?? null]))
}
