import { forgottenTile, tileOf } from './window.ts'
import type { FeatureFlag } from './flags.ts'
import { finalize } from './tiles/aggregates.ts'
import { assert } from '../base/errors.ts'
import { hashEventId } from '../events/event-id-hash.ts'
import type { EntityPlan } from './plan.ts'
import { applyLabel, forgetLabels, judgeLabel, repeatedValues } from './observe-label.ts'
import type { Observation, Verdict } from './observation.ts'
import { fingerprint, rememberSubject, subjectHash } from './state/subjects.ts'
import { isRememberedAt, knowsEventId, rememberEventId, wasElsewhere } from './state/recent-ids.ts'
import {
  beginDraft,
  progressOf,
  setProgress,
  tableAt,
  type EntityState,
  type Outcome,
  type PartitionProgress,
  type StateTiles,
  type StoredResponse,
} from './state/state.ts'
import { flagsOf } from './state/flags.ts'
import { addValue } from './tiles/tile-row.ts'
import { emptyTiles, pruneTiles, rowFor } from './tiles/tiles.ts'
import { noneReleased } from './state/waiting-labels.ts'
import { settleWaiting } from './state/settle-waiting.ts'
import { readWindows } from './tiles/windows.ts'

export function verdictOf(outcome: Outcome): Verdict {
  return outcome === 'applied' || outcome === 'too_late' ? null : outcome
}

/** `gone`: applied before, and its response is no longer stored, so it was published and committed (R5). */
export type Answer =
  | { readonly kind: 'response'; readonly response: StoredResponse }
  | { readonly kind: 'gone'; readonly verdict: Verdict }

export interface EntityObserved {
  readonly state: EntityState | null
  /** One per observation, in order. */
  readonly answers: readonly Answer[]
  /** False when every observation had been applied before: there is nothing to write. */
  readonly changed: boolean
}

/**
 * Applies all observations of one batch on one entity as one step (R2). Pure: `base` stays as it is. `floorOffset` is
 * the batch's first offset; stored responses of this partition below it are dropped (R3).
 */
export function observe(
  plan: EntityPlan,
  base: EntityState | null,
  observations: readonly Observation[],
  partition: number,
  floorOffset: number,
): EntityObserved {
  const before = base === null ? null : progressOf(base, partition)
  let next = before?.next ?? -Infinity
  let draft: EntityState | null = null
  let responses: StoredResponse[] = []
  const answers: Answer[] = []
  for (const observation of observations) {
    const state: EntityState | null = draft ?? base
    if (state !== null && observation.offset < next) {
      const stored = draft === null ? (before?.responses ?? []) : responses
      answers.push(storedAnswer(plan, state, stored, observation))
      continue
    }
    if (draft === null) {
      draft = beginDraft(plan, base, observation.appendTimeMs)
      responses = notBelow(floorOffset, before)
    }
    const response = applyTo(plan, draft, observation)
    next = observation.offset + 1
    responses.push(response)
    answers.push({ kind: 'response', response })
  }
  if (draft !== null) setProgress(draft, { partition, next, responses })
  return { state: draft ?? base, answers, changed: draft !== null }
}

/** A new list of the responses to keep; most often none of the batch before. */
function notBelow(floorOffset: number, before: PartitionProgress | null): StoredResponse[] {
  const kept: StoredResponse[] = []
  if (before !== null) for (const stored of before.responses) if (stored.offset >= floorOffset) kept.push(stored)
  return kept
}

/** R1: applied before, so the answer is the one given then. */
function storedAnswer(
  plan: EntityPlan,
  state: EntityState,
  responses: readonly StoredResponse[],
  observation: Observation,
): Answer {
  const response = responses.find((stored) => stored.offset === observation.offset)
  if (response !== undefined) return { kind: 'response', response }
  return { kind: 'gone', verdict: plan.partitionKey ? goneVerdict(state, observation) : null }
}

/** A label that did not count is not remembered either. */
function goneVerdict({ recentIds }: EntityState, { eventId, offset, binding }: Observation): Verdict {
  const hash = hashEventId(eventId)
  if (wasElsewhere(recentIds, hash, offset)) return 'duplicate'
  return binding.label === null || isRememberedAt(recentIds, hash, offset) ? null : 'unknown_subject'
}

/** Applies one observation to a state in place; it takes the state's next sequence number. */
export function applyTo(plan: EntityPlan, state: EntityState, observation: Observation): StoredResponse {
  const read = observation.reads ? readFeatures(plan, state, observation.timeMs) : null
  const { sequence } = state
  const outcome = applyOnce(plan, state, observation)
  const released = plan.partitionKey ? settleWaiting(plan, state, observation, outcome) : noneReleased
  state.sequence = sequence + 1
  return {
    offset: observation.offset,
    sequence,
    incarnation: state.incarnation,
    outcome,
    features: read?.features ?? null,
    flags: read?.flags ?? noFlags,
    released,
  }
}

function applyOnce(plan: EntityPlan, state: EntityState, observation: Observation): Outcome {
  if (plan.partitionKey) {
    const hash = hashEventId(observation.eventId)
    // The event was not applied before, so a remembered id is another record's: its offset may be the same in another
    // partition.
    if (knowsEventId(state.recentIds, hash)) return 'duplicate'
    const { binding, data, timeMs } = observation
    // A label that does not count is not remembered: it may come again when its subject is known, or be corrected.
    const verdict = binding.label === null ? null : judgeLabel(state, binding.label, plan.labelHours, observation)
    if (verdict !== null) return verdict
    rememberEventId(state.recentIds, hash, observation.offset, observation.appendTimeMs)
    if (binding.subject !== null) {
      const repeated = fingerprint(repeatedValues(binding.subject.fields, data, timeMs))
      rememberSubject(state.subjects, subjectHash(binding.subject.type, hash), repeated, timeMs, plan.labelHours)
    }
  } else if (observation.verdict !== null) {
    return observation.verdict
  }
  const { label } = observation.binding
  if (label === null) return addToTiles(plan, state, observation)
  return plan.labels === null ? 'applied' : applyLabel(plan, label, plan.labels, state, observation)
}

function addToTiles(plan: EntityPlan, state: EntityState, observation: Observation): Outcome {
  const { binding, timeMs } = observation
  const { updates } = binding
  if (updates.length === 0) return 'applied'
  const newest = Math.max(state.newestTimeMs ?? timeMs, timeMs)
  let outcome: Outcome = 'applied'
  for (let number = 0; number < plan.groups.length; number += 1) {
    const group = plan.groups[number]
    assert(group !== undefined, 'the group exists')
    const table = tableAt(state, number)
    const tile = tileOf(timeMs, group.hopMs)
    const forgotten = Math.max(forgottenTile(newest, plan.horizonMs, group.hopMs), table.cappedTile ?? -Infinity)
    if (tile <= forgotten) {
      if (updates.some((update) => update.group === number)) outcome = 'too_late'
      continue
    }
    let row = -1
    for (const update of updates) {
      if (update.group !== number) continue
      const value = update.value(observation.data)
      if (value === null) continue
      if (row < 0) row = rowFor(table, group, tile)
      const slot = group.slots[update.slot]
      if (slot !== undefined) addValue(table, row, slot, value, timeMs)
    }
    pruneTiles(table, group, forgotten)
  }
  state.newestTimeMs = newest
  forgetLabels(plan, state)
  return outcome
}

export interface EntityRead {
  /** In plan order; of a state that does not exist, those of empty windows. */
  readonly features: readonly (number | null)[]
  /** Flags of some of them; most often none. */
  readonly flags: readonly FeatureFlag[]
}

const noFlags: readonly FeatureFlag[] = []

/** The entity's features at `timeMs`. */
export function readFeatures(plan: EntityPlan, state: StateTiles | null, timeMs: number): EntityRead {
  const windows = plan.memory.windows(plan.windowCells)
  let number = 0
  for (const group of plan.groups) {
    readWindows(state === null ? emptyTiles(group) : tableAt(state, number), group, timeMs, windows)
    number += 1
  }
  const features = new Array<number | null>(plan.features.length)
  let i = 0
  for (const { aggregate, cells, position } of plan.features) {
    features[i] = finalize(aggregate, windows, cells, timeMs, position)
    i += 1
  }
  return { features, flags: state === null ? noFlags : flagsOf(plan, state, features, timeMs) }
}
