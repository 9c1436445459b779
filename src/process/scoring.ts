import type { Scored } from './emit.ts'
import type { Explain } from './explain.ts'
import type { EventIntake } from './intake.ts'
import type { LoadedLineup } from './serving.ts'
import type { unscoredCodes } from '../scoring/dead-letter-code.ts'
import { decide } from '../scoring/decision.ts'
import { assert } from '../base/errors.ts'
import { namedEntityId, type FeaturePlan, type ServicePlan } from '../engine/plan.ts'
import type { Snapshot } from '../engine/state/state.ts'
import { createAssembler, type Assembler } from '../scoring/vector.ts'
import type { Scorer } from '../ports/scorer.ts'

/** An event that was applied, on its way to a score. */
export interface Applied {
  readonly item: EventIntake
  readonly snapshots: readonly (Snapshot | null)[]
}

/** `unscored`: no number can be acted on, whichever process tries. */
export type Verdict =
  | { readonly kind: 'scored'; readonly scored: Scored }
  | { readonly kind: 'unscored'; readonly code: UnscoredCode; readonly detail: string }

export type UnscoredCode = (typeof unscoredCodes)[number]

export type ShadowFailure = 'failed' | 'not_finite'

export interface JudgeOptions {
  readonly plan: FeaturePlan
  readonly lineup: LoadedLineup
  /** Says why an event is not approved. */
  readonly explain: Explain | null
  readonly onShadowFailed: (model: Scorer, failure: ShadowFailure, events: number) => void
}

/** Verdicts in the order of the events. Errors: `score_failed` (canRetry) when the champion could not be run. */
export type Judge = (events: readonly Applied[]) => Promise<readonly Verdict[]>

/** Vectors, one run of the champion and of each shadow, decisions. */
export function createJudge({ plan, lineup, explain, onShadowFailed }: JudgeOptions): Judge {
  const { champion, shadows } = lineup
  const assemblers = new Map<string, Assembler>()
  for (const { service } of [champion, ...shadows]) {
    if (!assemblers.has(service)) assemblers.set(service, createAssembler(servicePlan(plan, service)))
  }
  const decided = createDecide(plan, champion)
  const assemblerOf = (model: Scorer) => assemblers.get(model.service) as Assembler

  /** Of each event, null where the shadow has none: it disturbs nobody. */
  async function shadowScores(shadow: Scorer, inputs: Inputs): Promise<readonly (number | null)[]> {
    try {
      const scores = spread(inputs, await shadow.score(inputs.vectors, inputs.finite.length))
      // A vector that is not finite is not the model's fault.
      const missing = inputs.finite.filter((row) => scores[row] === null).length
      if (missing > 0) onShadowFailed(shadow, 'not_finite', missing)
      return scores
    } catch {
      onShadowFailed(shadow, 'failed', inputs.rows)
      return new Array<null>(inputs.rows).fill(null)
    }
  }

  return async (events) => {
    if (events.length === 0) return []
    const inputs = new Map<Assembler, Inputs>()
    for (const assembler of assemblers.values()) inputs.set(assembler, inputsOf(assembler, events))
    const inputOf = (model: Scorer) => inputs.get(assemblerOf(model)) as Inputs
    const own = inputOf(champion)
    const scores = spread(own, await champion.score(own.vectors, own.finite.length))
    const others: (readonly (number | null)[])[] = []
    for (const shadow of shadows) others.push(await shadowScores(shadow, inputOf(shadow)))
    const names = assemblerOf(champion).vectorNames
    return events.map((applied, row): Verdict => {
      const { item, snapshots } = applied
      const score = scores[row] ?? null
      if (score === null) return unscored(own, row, names, champion)
      const shadowed = others.map((each) => each[row] ?? null)
      const values = own.values[row]
      assert(values !== undefined, 'every event has values')
      const { decision, policy } = decided(item, values, score)
      const isExplained = explain !== null && decision !== 'approve'
      const reasons = isExplained ? explain(champion, vectorOf(own, row, names.length), values) : null
      const scored = { item, snapshots, values, score, decision, policy, reasons, shadows: shadowed }
      return { kind: 'scored', scored }
    })
  }
}

function vectorOf({ finite, vectors }: Inputs, row: number, width: number): Float32Array {
  const place = finite.indexOf(row)
  return vectors.subarray(place * width, (place + 1) * width)
}

/** How the champion's score is acted on. The ids are those of the event that is decided, and only of entities on lists. */
function createDecide({ entities }: FeaturePlan, { decider, thresholds }: Scorer) {
  const listed = entities.filter(({ name }) => decider?.entities.includes(name) === true)
  const entityIds: Record<string, string | null> = {}
  return (
    { data }: EventIntake,
    values: readonly (number | null)[],
    score: number,
  ): Pick<Scored, 'decision' | 'policy'> => {
    if (decider === undefined) return { decision: decide(score, thresholds), policy: null }
    for (const { name, keyFields } of listed) entityIds[name] = namedEntityId(keyFields, data)
    const { decision, decidedBy } = decider.decide({ entityIds, data, score, values })
    return { decision, policy: { version: decider.version, decidedBy } }
  }
}

/** What one service makes of the events. */
interface Inputs {
  readonly rows: number
  readonly values: readonly (readonly (number | null)[])[]
  /** Events whose vector is finite; the vectors are theirs. */
  readonly finite: readonly number[]
  readonly vectors: Float32Array
  /** By event, of those that are not: which element. */
  readonly broken: ReadonlyMap<number, { readonly element: number; readonly value: number }>
}

function inputsOf(assembler: Assembler, events: readonly Applied[]): Inputs {
  const width = assembler.vectorLength
  const vectors = new Float32Array(events.length * width)
  const finite: number[] = []
  const broken = new Map<number, { element: number; value: number }>()
  const values = events.map(({ item, snapshots }, row) => {
    const named = assembler.values(snapshots, item.data, item.observedAtMs)
    assembler.write(named, vectors, finite.length)
    const start = finite.length * width
    for (let element = 0; element < width; element += 1) {
      const value = vectors[start + element] as number
      // False for NaN and both infinities, and cheaper than Number.isFinite.
      if (value - value === 0) continue
      broken.set(row, { element, value })
      // The next event takes its place.
      return named
    }
    finite.push(row)
    return named
  })
  return { rows: events.length, values, finite, vectors: vectors.subarray(0, finite.length * width), broken }
}

/** Scores by event; null where there was no vector, or no finite score. */
function spread({ rows, finite }: Inputs, scores: Float32Array): (number | null)[] {
  assert(scores.length === finite.length, 'a model answers one score per row')
  const found = new Array<number | null>(rows).fill(null)
  for (const [i, row] of finite.entries()) {
    const score = scores[i] as number
    found[row] = score - score === 0 ? score : null
  }
  return found
}

function unscored({ broken }: Inputs, row: number, names: readonly string[], champion: Scorer): Verdict {
  const input = broken.get(row)
  if (input !== undefined) {
    const detail = `${names[input.element]} is ${input.value} as a float32`
    return { kind: 'unscored', code: 'vector_not_finite', detail }
  }
  const detail = `${champion.name}/${champion.version} answered a score that is not finite`
  return { kind: 'unscored', code: 'score_not_finite', detail }
}

export function servicePlan(plan: FeaturePlan, name: string): ServicePlan {
  const service = plan.services.find((candidate) => candidate.name === name)
  assert(service !== undefined, `there is a service ${name}`)
  return service
}
