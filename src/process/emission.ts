import { deadLetterRecord } from './dead-letter.ts'
import { createScoreRecord, observedRecord, type Scored } from './emit.ts'
import { createExplain } from './explain.ts'
import type { Intake } from './intake.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { Effect } from './observe-batch.ts'
import { createJudge, servicePlan, type Judge, type Applied, type Verdict } from './scoring.ts'
import { releasedRecords } from './waiting.ts'
import { lineupAt, type LoadedLineup, type Serving } from './serving.ts'
import { modelName } from '../scoring/rollout/generation.ts'
import { assert, unreachable } from '../base/errors.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { EventCatalog } from '../events/event.ts'
import type { RecordFault } from '../events/record-parts.ts'
import type { OutgoingRecord } from '../ports/log.ts'

export interface EmissionOptions {
  readonly plan: FeaturePlan
  /** How events of a scored type are repeated in their scores. */
  readonly catalog: EventCatalog
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  readonly metrics: Pick<ProcessMetrics, 'shadowFailed' | 'unscored'>
  /** Of the definitions, for the words of reasons: why an event is not approved. Left out, nobody says. */
  readonly features?: readonly FeatureManifest[]
}

/**
 * Scores each event with the models of its offset, in one run of each, and decides; answers what to publish, in the
 * order of the causes.
 */
export type Emission = (
  intake: readonly Intake[],
  effects: readonly Effect[],
  servings: ReadonlyMap<string, readonly Serving[]>,
  /** Nothing is scored: the one event has a dead letter instead. */
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
  const benchFor = (lineup: LoadedLineup, eventType: string): Bench => {
    const bench = benches.get(lineup) ?? benchOf(options, lineup, eventType)
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
    for (const [lineup, { eventType, due }] of byLineup(blame === null ? effects : [], servings)) {
      const { judge, record } = benchFor(lineup, eventType)
      const verdicts = await judge(due)
      for (const [i, applied] of due.entries()) {
        judged.set(applied.item, recordsOfVerdict(options, applied, verdicts[i] as Verdict, record))
      }
    }
    const byItem = new Map(effects.map((effect) => [effect.item as Intake, recordsOf(effect, judged)]))
    return intake.flatMap((item) => {
      if (item.kind === 'invalid') return [deadLetterRecord(topics.deadLetters, item, item.code, item.detail)]
      return byItem.get(item) ?? []
    })
  }
}

function benchOf(
  { plan, catalog, topics, metrics, features }: EmissionOptions,
  lineup: LoadedLineup,
  eventType: string,
): Bench {
  const rule = catalog.get(eventType)?.scored
  assert(rule !== undefined, `events of type ${eventType} are scored`)
  const { champion, shadows } = lineup
  const service = servicePlan(plan, champion.service)
  return {
    judge: createJudge({
      plan,
      lineup,
      explain: features === undefined ? null : createExplain(service, features),
      onShadowFailed: (model, failure, events) => metrics.shadowFailed(modelName(model), failure, events),
    }),
    record: createScoreRecord({
      plan,
      rule,
      service,
      model: { name: champion.name, version: champion.version },
      shadows: shadows.map(modelName),
      topic: topics.scores,
    }),
  }
}

/** Events of one type that one lineup scores. */
interface Due {
  readonly eventType: string
  readonly due: Applied[]
}

/** Events to score, by who scores them: one group, unless a generation took effect among them. */
function byLineup(effects: readonly Effect[], servings: Parameters<Emission>[2]): ReadonlyMap<LoadedLineup, Due> {
  const groups = new Map<LoadedLineup, Due>()
  for (const effect of effects) {
    if (!isDue(effect)) continue
    const { item, snapshots } = effect
    const { eventType } = item.event
    const lineup = lineupAt(servings.get(eventType) ?? [], item.record.offset)
    const group = groups.get(lineup)
    if (group === undefined) groups.set(lineup, { eventType, due: [{ item, snapshots }] })
    else group.due.push({ item, snapshots })
  }
  return groups
}

/** An event without a score has changed states all the same: one record says that, another why there is no score. */
function recordsOfVerdict(
  { plan, topics, metrics }: EmissionOptions,
  { item, snapshots }: Applied,
  verdict: Verdict,
  record: Bench['record'],
): readonly OutgoingRecord[] {
  if (verdict.kind === 'scored') return [record(verdict.scored)]
  metrics.unscored(verdict.code)
  return withoutScore({ plan, topics }, { item, snapshots }, verdict)
}

function withoutScore(
  { plan, topics }: Pick<EmissionOptions, 'plan' | 'topics'>,
  { item, snapshots }: Applied,
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
