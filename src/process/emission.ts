import { deadLetterRecord } from './dead-letter.ts'
import { createScoredRecord, observedRecord, type Scored } from './emit.ts'
import type { EventIntake, Intake } from './intake.ts'
import type { Explain } from './explain.ts'
import type { Effect } from './observe-batch.ts'
import { decide } from '../core/decision.ts'
import { assert, unreachable } from '../core/errors.ts'
import type { FeaturePlan, ServicePlan } from '../core/plan.ts'
import { createAssembler } from '../core/vector.ts'
import type { OutgoingRecord, Scorer } from '../ports.ts'

export interface EmissionOptions {
  readonly scorer: Scorer
  readonly plan: FeaturePlan
  readonly service: ServicePlan
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  /** Says why a payment is not approved; left out, nobody does. */
  readonly explain?: Explain
}

/** Assembles vectors, scores them in one run and decides; answers what to publish, in the order of the causes. */
export type Emission = (intake: readonly Intake[], effects: readonly Effect[]) => Promise<OutgoingRecord[]>

export function createEmission({ scorer, plan, service, topics, explain }: EmissionOptions): Emission {
  const assembler = createAssembler(service)
  const model = { name: scorer.name, version: scorer.version }
  const scoredRecord = createScoredRecord({ plan, service, model, topic: topics.scores })

  async function scoreAll(effects: readonly Effect[]): Promise<ReadonlyMap<EventIntake, Scored>> {
    const rows: Omit<Scored, 'score' | 'decision' | 'reasons'>[] = []
    for (const effect of effects) {
      if (effect.kind !== 'applied' || !effect.item.scored) continue
      const { item, snapshots } = effect
      const request = { amountMinor: item.data['amountMinor'] as number, timeMs: item.observedAtMs }
      const aggregated: (number | null)[] = []
      for (const snapshot of snapshots) if (snapshot?.features) aggregated.push(...snapshot.features)
      rows.push({ item, snapshots, values: assembler.values(aggregated, request) })
    }
    if (rows.length === 0) return new Map()
    const vectors = new Float32Array(rows.length * assembler.vectorLength)
    for (const [row, { values }] of rows.entries()) assembler.write(values, vectors, row)
    const vectorOf = (row: number) => vectors.subarray(row * assembler.vectorLength, (row + 1) * assembler.vectorLength)
    const scores = await scorer.score(vectors, rows.length)
    return new Map(
      rows.map(({ item, snapshots, values }, row) => {
        const score = scores[row]
        assert(score !== undefined, 'the model answers one score per row')
        const decision = decide(score, scorer.thresholds)
        const reasons = decision === 'approve' ? null : (explain?.(scorer, vectorOf(row), values) ?? null)
        return [item, { item, snapshots, values, score, decision, reasons }]
      }),
    )
  }

  function recordOf(effect: Effect, scored: ReadonlyMap<EventIntake, Scored>): OutgoingRecord | null {
    const { item } = effect
    switch (effect.kind) {
      case 'gone':
        return null
      case 'duplicate':
        return deadLetterRecord(topics.deadLetters, item, 'duplicate_event', 'an event with this id was applied before')
      case 'applied': {
        const score = scored.get(item)
        if (score !== undefined) return scoredRecord(score)
        return observedRecord(plan, topics.scores, item, effect.snapshots)
      }
      default:
        return unreachable(effect)
    }
  }

  return async (intake, effects) => {
    const scored = await scoreAll(effects)
    const byItem = new Map(effects.map((effect) => [effect.item as Intake, recordOf(effect, scored)]))
    return intake.flatMap((item) => {
      if (item.kind === 'invalid') return [deadLetterRecord(topics.deadLetters, item, item.code, item.detail)]
      return byItem.get(item) ?? []
    })
  }
}
