import { idPart, idSeparator } from './entity-id.ts'
import { forgottenTile, tileOf } from './window.ts'
import { itemAt } from '../base/arrays.ts'
import { emptyCell } from './tiles/cells.ts'
import { hashEventId } from '../events/event-id-hash.ts'
import { labelOf, outdates, withLabel, type Label, type Labels } from './state/labels.ts'
import type { LabelVerdict, Observation } from './observation.ts'
import { entityIdOf, type EntityLabels, type EntityPlan, type LabelPlan, type SlotUpdate } from './plan.ts'
import type { SlotPlan, TileGroupPlan } from './tile-group.ts'
import { tableAt, type EntityState, type Outcome } from './state/state.ts'
import { fingerprint, fingerprintOf, subjectHash } from './state/subjects.ts'
import { addValue, noPoints } from './tiles/tile-row.ts'
import { findRow, pruneTiles, rowFor, type TileTable } from './tiles/tiles.ts'

/** The verdict of the partition-key entity, which remembers the subjects. */
export function judgeLabel(
  { subjects }: EntityState,
  { type, subjectField, fields }: LabelPlan,
  hours: number,
  { data, timeMs }: Pick<Observation, 'data' | 'timeMs'>,
): LabelVerdict {
  const known = fingerprintOf(subjects, subjectHash(type, hashEventId(String(data[subjectField]))), hours)
  if (known === null) return 'unknown_subject'
  return known === fingerprint(repeatedValues(fields, data, timeMs)) ? null : 'contradicts_subject'
}

/** The values that a label repeats of its subject; null stands for the time of the observation. */
export function repeatedValues(
  fields: readonly (string | null)[],
  data: Readonly<Record<string, unknown>>,
  timeMs: number,
): unknown[] {
  return fields.map((field) => (field === null ? timeMs : data[field]))
}

/**
 * Puts a label in the place of the subject's former label, at the subject's time; an older label changes nothing, but
 * its tile counts as observed. To take out what the former label added, it makes the tile's label slots again from the
 * labels that the entity remembers.
 */
export function applyLabel(
  plan: EntityPlan,
  rule: LabelPlan,
  labels: EntityLabels,
  state: EntityState,
  { data, timeMs, eventTimeMs, binding }: Observation,
): Outcome {
  const label: Label = {
    ...subjectHash(rule.type, hashEventId(subjectOf(rule, data))),
    ...{ timeMs, eventTimeMs, sequence: state.sequence, eventType: binding.eventType },
    data: pickFields(labels, data),
  }
  const current = labelOf(state.labels, label)
  const isCurrent = current === null || !outdates(current, label)
  if (isCurrent) state.labels = withLabel(state.labels, label)
  const newest = Math.max(state.newestTimeMs ?? timeMs, timeMs)
  let outcome: Outcome = 'applied'
  for (const [number, group] of plan.groups.entries()) {
    const table = tableAt(state, number)
    const tile = tileOf(timeMs, group.hopMs)
    const floor = Math.max(forgottenTile(newest, plan.horizonMs, group.hopMs), table.cappedTile ?? -Infinity)
    if (tile <= floor) {
      if ((labels.slots[number] ?? []).length > 0) outcome = 'too_late'
      continue
    }
    if (current === null || !isCurrent) addLabel(table, number, group, labels, label, isCurrent)
    else remakeTile(table, number, group, labels, state.labels, tile)
    pruneTiles(table, group, floor)
  }
  state.newestTimeMs = newest
  forgetLabels(plan, state)
  return outcome
}

/** Names a subject of its type among those of all aggregates. */
function subjectOf({ subjectField, ownerFields }: LabelPlan, data: Label['data']): string {
  return idPart(entityIdOf(ownerFields, data)) + idSeparator + String(data[subjectField])
}

/** Drops the labels in tiles that every table with label slots has forgotten: no slot is made of them again. */
export function forgetLabels(plan: EntityPlan, state: EntityState): void {
  const { labels } = plan
  if (labels === null || state.labels.length === 0 || state.newestTimeMs === null) return
  let oldestMs = Infinity
  for (const [number, { hopMs }] of plan.groups.entries()) {
    if ((labels.slots[number] ?? []).length === 0) continue
    const { cappedTile } = tableAt(state, number)
    const floor = Math.max(forgottenTile(state.newestTimeMs, plan.horizonMs, hopMs), cappedTile ?? -Infinity)
    oldestMs = Math.min(oldestMs, (floor + 1) * hopMs)
  }
  if (state.labels.every(({ timeMs }) => timeMs >= oldestMs)) return
  state.labels = state.labels.filter(({ timeMs }) => timeMs >= oldestMs)
}

/** The fields that an entity's label slots read, without those that the data lack. */
export function pickFields({ fields }: EntityLabels, data: Label['data']): Label['data'] {
  return Object.fromEntries(fields.flatMap((field) => (data[field] === undefined ? [] : [[field, data[field]]])))
}

/**
 * Makes the label slots of one tile from the labels in it. A slot with missing history there takes only later labels:
 * earlier ones were remembered for other slots.
 */
export function remakeTile(
  table: TileTable,
  number: number,
  group: TileGroupPlan,
  labels: EntityLabels,
  known: Labels,
  tile: number,
): void {
  if (findRow(table, tile) >= 0) {
    const row = rowFor(table, group, tile)
    for (const slot of labels.slots[number] ?? []) clearSlot(table, row, itemAt(group.slots, slot))
  }
  for (const label of known) {
    if (tileOf(label.timeMs, group.hopMs) === tile) addLabel(table, number, group, labels, label)
  }
}

/** A label that is not current counts nowhere but still makes its tile: the limit of tiles counts observations. */
function addLabel(
  table: TileTable,
  number: number,
  group: TileGroupPlan,
  labels: EntityLabels,
  label: Label,
  isCurrent = true,
): void {
  const tile = tileOf(label.timeMs, group.hopMs)
  for (const { slot, value } of updatesOf(labels, label, number)) {
    const missing = table.missingHistory?.[slot] ?? null
    if (missing !== null && tile <= missing.tile && label.sequence < missing.since) continue
    const found = value(label.data)
    if (found === null) continue
    const row = rowFor(table, group, tile)
    if (isCurrent) addValue(table, row, itemAt(group.slots, slot), found, label.timeMs)
  }
}

function updatesOf({ updates }: EntityLabels, { eventType }: Label, group: number): readonly SlotUpdate[] {
  return (updates.get(eventType) ?? []).filter((update) => update.group === group)
}

function clearSlot({ cells, lists, width }: TileTable, row: number, { kind, place, list }: SlotPlan): void {
  if (place >= 0) cells[row * width + place] = emptyCell(kind)
  if (kind === 'square_sum') cells[row * width + place + 1] = 0
  const column = lists[list]
  if (column !== undefined && row < column.length) column[row] = noPoints
}
