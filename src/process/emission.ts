import { deadLetterRecord } from './dead-letter.ts'
import { createScoredRecord, observedRecord, type Scored } from './emit.ts'
import { createExplain } from './explain.ts'
import type { Intake } from './intake.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { Effect } from './observe-batch.ts'
import { createJudge, servicePlan, type Judge, type Payment, type Verdict } from './scoring.ts'
import { releasedRecords } from './waiting.ts'
import { lineupAt, type LoadedLineup, type Serving } from './serving.ts'
import { modelName } from '../scoring/rollout/generation.ts'
import { unreachable } from '../base/errors.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { RecordFault } from '../events/record-parts.ts'
import type { OutgoingRecord } from '../ports/log.ts'

export interface EmissionOptions {
  readonly plan: FeaturePlan
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  readonly metrics: Pick<ProcessMetrics, 'shadowFailed' | 'unscored'>
  /** Of the definitions, for the words of reasons: why a payment is not approved. Left out, nobody says. */
  readonly features?: readonly FeatureManifest[]
}

/**
 * Scores each payment with the models of its offset, in one run of each, and decides; answers what to publish, in the
 * order of the causes.
 */
export type Emission = (
  intake: readonly Intake[],
  effects: readonly Effect[],
  servings: readonly Serving[],
  /** Nothing is scored: the one payment has a dead letter instead. */
  blame?: RecordFault | null,
) => Promise<OutgoingRecord[]>

/** What one lineup needs, made once. */
interface Bench {
  readonly judge: Judge
  readonly record: (scored: Scored) => OutgoingRecord
}

export function createEmission(options: EmissionOptions): Emission {
  const { topics } = options
  const benches = new WeakMap<LoadedLineup, Bench>()
  const benchFor = (lineup: LoadedLineup): Bench => {
    const bench = benches.get(lineup) ?? benchOf(options, lineup)
    benches.set(lineup, bench)
    return bench
  }

  function recordsOf(effect: Effect, judged: ReadonlyMap<Intake, readonly OutgoingRecord[]>) {
    const { item } = effect
    switch (effect.kind) {
      case 'gone':
        return []
      case 'duplicate':
        return [
          deadLetterRecord(topics.deadLetters, item, 'duplicate_event', 'an event with this id was applied before'),
        ]
      case 'applied':
        return [
          ...(judged.get(item) ?? recordsOfObserved(options, effect)),
          ...releasedRecords(effect, topics.deadLetters),
        ]
      default:
        return unreachable(effect)
    }
  }

  return async (intake, effects, servings, blame = null) => {
    const judged = new Map<Intake, readonly OutgoingRecord[]>()
    for (const effect of effects) {
      if (blame !== null && effect.kind === 'applied') judged.set(effect.item, withoutScore(options, effect, blame))
    }
    for (const [lineup, payments] of byLineup(blame === null ? effects : [], servings)) {
      const { judge, record } = benchFor(lineup)
      const verdicts = await judge(payments)
      for (const [i, payment] of payments.entries()) {
        judged.set(payment.item, recordsOfVerdict(options, payment, verdicts[i] as Verdict, record))
      }
    }
    const byItem = new Map(effects.map((effect) => [effect.item as Intake, recordsOf(effect, judged)]))
    return intake.flatMap((item) => {
      if (item.kind === 'invalid') return [deadLetterRecord(topics.deadLetters, item, item.code, item.detail)]
      return byItem.get(item) ?? []
    })
  }
}

function benchOf({ plan, topics, metrics, features }: EmissionOptions, lineup: LoadedLineup): Bench {
  const { champion, shadows } = lineup
  const service = servicePlan(plan, champion.service)
  return {
    judge: createJudge({
      plan,
      lineup,
      explain: features === undefined ? null : createExplain(service, features),
      onShadowFailed: (model, failure, payments) => metrics.shadowFailed(modelName(model), failure, payments),
    }),
    record: createScoredRecord({
      plan,
      service,
      model: { name: champion.name, version: champion.version },
      shadows: shadows.map(modelName),
      topic: topics.scores,
    }),
  }
}

/** Payments to score, by who scores them: one group, unless a generation took effect among them. */
function byLineup(effects: readonly Effect[], servings: readonly Serving[]): ReadonlyMap<LoadedLineup, Payment[]> {
  const groups = new Map<LoadedLineup, Payment[]>()
  for (const effect of effects) {
    if (!isDue(effect)) continue
    const { item, snapshots } = effect
    const lineup = lineupAt(servings, item.record.offset)
    const group = groups.get(lineup)
    if (group === undefined) groups.set(lineup, [{ item, snapshots }])
    else group.push({ item, snapshots })
  }
  return groups
}

/** Without a score a payment has changed states all the same: both is told. */
function recordsOfVerdict(
  { plan, topics, metrics }: EmissionOptions,
  { item, snapshots }: Payment,
  verdict: Verdict,
  record: Bench['record'],
): readonly OutgoingRecord[] {
  if (verdict.kind === 'scored') return [record(verdict.scored)]
  metrics.unscored(verdict.code)
  return withoutScore({ plan, topics }, { item, snapshots }, verdict)
}

function withoutScore(
  { plan, topics }: Pick<EmissionOptions, 'plan' | 'topics'>,
  { item, snapshots }: Payment,
  { code, detail }: { readonly code: string; readonly detail: string },
): readonly OutgoingRecord[] {
  return [
    observedRecord(plan, topics.scores, item, snapshots),
    deadLetterRecord(topics.deadLetters, item, code, detail),
  ]
}

/** A label that counts nowhere took sequence numbers all the same, and comes again when it is right. */
function recordsOfObserved(
  { plan, topics }: EmissionOptions,
  { item, snapshots, verdict }: Extract<Effect, { kind: 'applied' }>,
): readonly OutgoingRecord[] {
  const observed = observedRecord(plan, topics.scores, item, snapshots, verdict === null)
  if (verdict === null) return [observed]
  return [observed, deadLetterRecord(topics.deadLetters, item, verdict, labelDetails[verdict])]
}

const labelDetails = {
  unknown_subject:
    'the state does not know the event that the label names: it did not come yet, or is too long or too many events ago; a label that waits is applied by itself when its event comes',
  contradicts_subject: 'the label repeats something else than its subject says',
} as const

/** Is there something to score? */
export function isDue(effect: Effect): effect is Extract<Effect, { kind: 'applied' }> {
  return effect.kind === 'applied' && effect.item.scored
}
