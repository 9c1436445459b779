import type { ProcessMetrics } from './metrics.ts'
import type { LoadedRollout } from './models/model-pool.ts'
import type { Assembled, AssembledEvent, Scored, ScoredEvent, Unscored } from './stages.ts'
import { assert } from '../base/errors.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import { modelName } from '../scoring/rollout/generation.ts'
import { createVectorWriter, type VectorWriter } from '../scoring/vector.ts'
import type { Scorer } from '../ports/scorer.ts'

/**
 * Scores each event by the models of its offset: one run of the champion and of each shadow for all events of a
 * rollout. Errors: `score_failed` (canRetry) when the champion could not be run.
 */
export type Score = (assembled: readonly Assembled[]) => Promise<Scored[]>

export interface ScoreOptions {
  readonly plan: FeaturePlan
  readonly metrics: Pick<ProcessMetrics, 'shadowFailed' | 'unscored'>
}

export type ShadowFailure = 'failed' | 'not_finite'

export function createScore({ plan, metrics }: ScoreOptions): Score {
  const writers = new Map<string, VectorWriter>()
  for (const service of plan.services) writers.set(service.name, createVectorWriter(plan.values, service))
  const writerOf = ({ service }: Scorer): VectorWriter => {
    const writer = writers.get(service)
    assert(writer !== undefined, `there is a service ${service}`)
    return writer
  }

  /** By event, null where the shadow has no score: its failure stops nothing. */
  async function shadowScores(shadow: Scorer, inputs: Inputs): Promise<readonly (number | null)[]> {
    try {
      const scores = byEvent(inputs, await shadow.score(inputs.vectors, inputs.finite.length))
      // A vector that is not finite is not the model's fault.
      const missing = inputs.finite.filter((row) => scores[row] === null).length
      if (missing > 0) metrics.shadowFailed(modelName(shadow), 'not_finite', missing)
      return scores
    } catch {
      metrics.shadowFailed(modelName(shadow), 'failed', inputs.rows)
      return new Array<null>(inputs.rows).fill(null)
    }
  }

  /** Scores the events of one rollout, in their order. */
  async function scored(
    { champion, shadows }: LoadedRollout,
    events: readonly AssembledEvent[],
  ): Promise<(ScoredEvent | Unscored)[]> {
    const inputs = new Map<VectorWriter, Inputs>()
    const inputsOf = (model: Scorer): Inputs => {
      const writer = writerOf(model)
      const known = inputs.get(writer) ?? vectorsOf(writer, events)
      inputs.set(writer, known)
      return known
    }
    const own = inputsOf(champion)
    const scores = byEvent(own, await champion.score(own.vectors, own.finite.length))
    const others: (readonly (number | null)[])[] = []
    for (const shadow of shadows) others.push(await shadowScores(shadow, inputsOf(shadow)))
    return events.map((event, row) => {
      const { record, decoded, responses, verdict, rollout, values } = event
      const score = scores[row] ?? null
      if (score !== null) {
        const ofShadows = others.map((each) => each[row] ?? null)
        return { kind: 'scored', record, decoded, responses, verdict, rollout, values, score, shadows: ofShadows }
      }
      const { code, detail } = whyUnscored(own, row, writerOf(champion).names, champion)
      metrics.unscored(code)
      return { kind: 'unscored', record, decoded, responses, verdict, code, detail }
    })
  }

  return async (assembled) => {
    const found = new Map<Assembled, Scored>()
    for (const [rollout, events] of byRollout(assembled)) {
      const answers = await scored(rollout, events)
      for (const [i, event] of events.entries()) found.set(event, answers[i] ?? unanswered())
    }
    return assembled.map((one) => (one.kind === 'assembled' ? (found.get(one) ?? unanswered()) : one))
  }
}

function unanswered(): never {
  throw new Error('each event has an answer')
}

/** One group, unless a generation took effect among the events, or several types are scored. */
function byRollout(assembled: readonly Assembled[]): ReadonlyMap<LoadedRollout, AssembledEvent[]> {
  const groups = new Map<LoadedRollout, AssembledEvent[]>()
  for (const one of assembled) {
    if (one.kind !== 'assembled') continue
    const group = groups.get(one.rollout)
    if (group === undefined) groups.set(one.rollout, [one])
    else group.push(one)
  }
  return groups
}

/** The vectors of one service. */
interface Inputs {
  readonly rows: number
  /** Rows of the events whose vector is finite; `vectors` holds theirs. */
  readonly finite: readonly number[]
  readonly vectors: Float32Array
  /** By row of the other events: the element that is not finite. */
  readonly broken: ReadonlyMap<number, { readonly element: number; readonly value: number }>
}

function vectorsOf({ width, write }: VectorWriter, events: readonly AssembledEvent[]): Inputs {
  const vectors = new Float32Array(events.length * width)
  const finite: number[] = []
  const broken = new Map<number, { element: number; value: number }>()
  for (const [row, { values }] of events.entries()) {
    const start = finite.length * width
    write(values, vectors, finite.length)
    const element = notFiniteIn(vectors, start, start + width)
    if (element === null) finite.push(row)
    // The next vector overwrites one that is not finite.
    else broken.set(row, { element: element - start, value: vectors[element] ?? NaN })
  }
  return { rows: events.length, finite, vectors: vectors.subarray(0, finite.length * width), broken }
}

function notFiniteIn(vectors: Float32Array, from: number, to: number): number | null {
  for (let at = from; at < to; at += 1) {
    const value = vectors[at] ?? NaN
    // False for NaN and both infinities, and cheaper than Number.isFinite.
    if (value - value !== 0) return at
  }
  return null
}

/** Scores by event; null where there was no vector, or no finite score. */
function byEvent({ rows, finite }: Inputs, scores: Float32Array): (number | null)[] {
  assert(scores.length === finite.length, 'a model answers one score per row')
  const found = new Array<number | null>(rows).fill(null)
  for (const [i, row] of finite.entries()) {
    const score = scores[i] ?? NaN
    found[row] = score - score === 0 ? score : null
  }
  return found
}

function whyUnscored(
  { broken }: Inputs,
  row: number,
  names: readonly string[],
  champion: Scorer,
): Pick<Unscored, 'code' | 'detail'> {
  const input = broken.get(row)
  if (input !== undefined) {
    return { code: 'vector_not_finite', detail: `${names[input.element]} is ${input.value} as a float32` }
  }
  const detail = `${champion.name}/${champion.version} answered a score that is not finite`
  return { code: 'score_not_finite', detail }
}
