import { fieldsOfSlot, layoutOf } from '../engine/states.ts'
import type {
  EntityLabels,
  EntityFeaturePlan,
  EntityPlan,
  EntityBinding,
  EventPlan,
  FeaturePlan,
  SlotUpdate,
} from '../engine/plan.ts'
import type { DelayRead, RunRead, TileGroupPlan } from '../engine/tile-group.ts'
import { PlanMemory } from '../engine/memory.ts'
import { dayMs, durationMs, hourMs, windowMs } from '../base/units.ts'
import type { Aggregate, SlotDefinition } from '../define/aggregate.ts'
import type { Entity } from '../define/entity.ts'
import { fieldsOfEvent } from '../define/event-field.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import { featureName, type View } from '../define/view.ts'
import { horizonMs } from './horizon.ts'
import { isLabel, labelHours, labelPlan, subjectPlan } from './labels.ts'
import { featureSetHash } from './manifest.ts'
import { compileService, compileValues } from './service-plan.ts'
import { slotId, slotValue } from './slots.ts'
import { layoutHash } from './layout.ts'

/** How much longer the store keeps a silent state than any window could need it. */
const ttlSlackMs = dayMs
/** A lifetime ends when nothing was observed for this long; the next observation begins another. */
const lifetimeTtlMs = 400 * dayMs

/** Resolves a feature set to what the engine runs. Deterministic: equal definitions give equal plans. */
export function compilePlan(set: FeatureSet): FeaturePlan {
  const ordered = [...set.entities].sort((a, b) => Number(b.partitionKey) - Number(a.partitionKey))
  const hours = labelHours(set)
  const memory = new PlanMemory()
  const drafts = ordered.map((entity) => compileEntity(entity, set, hours, memory))
  const events = set.events.map((event): EventPlan => {
    const fields = fieldsOfEvent(event)
    const ofType = { eventType: event.type, subject: subjectPlan(set, event), label: labelPlan(set, event) }
    const bindings = drafts.map(({ plan, slots }): EntityBinding | null =>
      plan.keyFields.every((field) => fields.has(field)) ? { ...ofType, updates: updatesOf(slots, event.type) } : null,
    )
    return { type: event.type, bindings }
  })
  const entities = drafts.map(({ plan }) => plan)
  const values = compileValues(set, entities)
  return {
    featureSetHash: featureSetHash(set),
    entities,
    events: new Map(events.map((event) => [event.type, event])),
    values,
    services: set.services.map((service) => compileService(set, entities, values, service)),
  }
}

interface AllocatedSlot {
  readonly id: string
  readonly group: number
  readonly slot: number
  readonly definition: SlotDefinition
}

function compileEntity(
  entity: Entity,
  set: FeatureSet,
  hours: number,
  memory: PlanMemory,
): { plan: EntityPlan; slots: readonly AllocatedSlot[] } {
  const views = set.views.filter((view) => view.entity === entity)
  const hops = [...new Set(views.map((view) => durationMs(view.hop)))].sort((a, b) => a - b)
  const slots = allocateSlots(views, hops)
  let windowCells = 0
  const groups = hops.map((hopMs, group) => {
    const ofHop = views.filter((view) => durationMs(view.hop) === hopMs)
    const compiled = compileGroup(
      entity,
      ofHop,
      slots.filter((slot) => slot.group === group),
      windowCells,
      memory,
    )
    windowCells = endOf(compiled) ?? windowCells
    return compiled
  })
  const horizon = horizonMs(views)
  const isLifetime = views.some((view) => view.windows.includes('lifetime'))
  const features = views.flatMap((view) => viewFeatures(view, groups, hops.indexOf(durationMs(view.hop)), slots))
  const draft: Omit<EntityPlan, 'layout'> = {
    name: entity.name,
    keyFields: entity.keyFields,
    partitionKey: entity.partitionKey,
    horizonMs: horizon,
    ttlMs: Math.max(
      isLifetime ? lifetimeTtlMs : 0,
      horizon + ttlSlackMs,
      entity.partitionKey ? hours * hourMs + ttlSlackMs : 0,
    ),
    groups,
    features,
    labelHours: hours,
    labels: entityLabels(set, slots, hops.length),
    hasCaps: features.some(({ cap }) => cap > 0),
    windowCells,
    memory,
  }
  return { plan: { ...draft, layout: layoutHash(layoutOf(draft)) }, slots }
}

function allocateSlots(views: readonly View[], hops: readonly number[]): AllocatedSlot[] {
  const slots: AllocatedSlot[] = []
  for (const view of views) {
    const group = hops.indexOf(durationMs(view.hop))
    for (const definition of view.aggregates.flatMap((aggregate) => aggregate.slots)) {
      const id = slotId(definition)
      if (slots.some((slot) => slot.group === group && slot.id === id)) continue
      slots.push({ id, group, slot: slots.filter((slot) => slot.group === group).length, definition })
    }
  }
  return slots
}

/** `views` are those of one hop. */
function compileGroup(
  entity: Entity,
  views: readonly View[],
  ofGroup: readonly AllocatedSlot[],
  firstCell: number,
  memory: PlanMemory,
): TileGroupPlan {
  const delays = [...new Set(views.map((view) => durationMs(view.delay)))].sort((a, b) => a - b)
  const slotOf = (definition: SlotDefinition) => ofGroup.findIndex((slot) => slot.id === slotId(definition))
  const isLifetime = (id: string) =>
    views.some(
      (view) =>
        view.windows.includes('lifetime') && view.aggregates.some((a) => a.slots.some((slot) => slotId(slot) === id)),
    )
  const shapes = ofGroup.map(({ id, definition: { kind, size } }) => ({ id, kind, size, lifetime: isLifetime(id) }))
  let base = firstCell
  const reads = delays.map((delayMs): DelayRead => {
    const ofDelay = views.filter((view) => durationMs(view.delay) === delayMs)
    const read = { ...compileRead(delayMs, ofDelay, slotOf), base }
    base += read.windowsMs.length * shapes.length + read.runs.length
    return read
  })
  return { hopMs: durationMs(views[0]?.hop ?? '1s'), tilesMax: entity.tilesMax, ...memory.placed(shapes), reads }
}

/** One past the last cell of a group's reads. */
function endOf({ reads, slots }: TileGroupPlan): number | undefined {
  const last = reads.at(-1)
  return last && last.base + last.windowsMs.length * slots.length + last.runs.length
}

function compileRead(
  delayMs: number,
  views: readonly View[],
  slotOf: (definition: SlotDefinition) => number,
): Omit<DelayRead, 'base'> {
  const windows = [...new Set(views.flatMap((view) => view.windows.map(windowMs)))].sort((a, b) => a - b)
  const needed = new Map<number, number>()
  const runs: RunRead[] = []
  for (const view of views) {
    const reach = Math.max(...view.windows.map((window) => windows.indexOf(windowMs(window)))) + 1
    for (const aggregate of view.aggregates) {
      if (aggregate.kind === 'run') {
        const [matching = -1, all = -1] = aggregate.slots.map(slotOf)
        runs.push(...view.windows.map((w) => ({ window: windows.indexOf(windowMs(w)), matching, all })))
        continue
      }
      for (const definition of aggregate.slots) {
        const slot = slotOf(definition)
        needed.set(slot, Math.max(needed.get(slot) ?? 0, reach))
      }
    }
  }
  const slots = [...needed].sort(([a], [b]) => a - b).map(([slot, reach]) => ({ slot, windows: reach }))
  return { delayMs, windowsMs: windows, slots, runs: uniqueRuns(runs) }
}

function uniqueRuns(runs: readonly RunRead[]): RunRead[] {
  return runs.filter((run, i) => runs.findIndex((other) => isSameRun(run, other)) === i)
}

function isSameRun(a: RunRead, b: RunRead): boolean {
  return a.window === b.window && a.matching === b.matching && a.all === b.all
}

function viewFeatures(
  view: View,
  groups: readonly TileGroupPlan[],
  group: number,
  allSlots: readonly AllocatedSlot[],
): EntityFeaturePlan[] {
  const { reads, slots: kinds } = groups[group] ?? { reads: [], slots: [] }
  const delayMs = durationMs(view.delay)
  const read = reads.find((one) => one.delayMs === delayMs)
  if (read === undefined) throw new Error(`no read of the view ${view.name}`)
  const { base, windowsMs, runs } = read
  return view.aggregates.flatMap((aggregate) => {
    const slots = aggregate.slots.map(
      (definition) => allSlots.find((slot) => slot.group === group && slot.id === slotId(definition))?.slot ?? -1,
    )
    return view.windows.map((name): EntityFeaturePlan => {
      const window = windowsMs.indexOf(windowMs(name))
      const cells =
        aggregate.kind === 'run'
          ? [base + windowsMs.length * kinds.length + runCell(runs, window, slots)]
          : slots.map((slot) => base + window * kinds.length + slot)
      return {
        name: featureName(view.name, aggregate.name, name),
        aggregate: aggregate.kind,
        group,
        cells,
        position: aggregate.position,
        cap: capOf(aggregate),
        delayMs,
        windowMs: windowMs(name),
        slots,
      }
    })
  })
}

function runCell(runs: readonly RunRead[], window: number, slots: readonly number[]): number {
  const [matching = -1, all = -1] = slots
  return runs.findIndex((run) => isSameRun(run, { window, matching, all }))
}

function capOf({ kind, slots }: Aggregate): number {
  return kind === 'distinct' ? (slots[0]?.size ?? 0) : 0
}

function updatesOf(slots: readonly AllocatedSlot[], eventType: string): SlotUpdate[] {
  return slots
    .filter(({ definition }) => definition.source.eventType === eventType)
    .map(({ group, slot, definition }) => ({ group, slot, value: slotValue(definition) }))
}

/** Null where labels feed no slot. */
function entityLabels(set: FeatureSet, slots: readonly AllocatedSlot[], groups: number): EntityLabels | null {
  const types = set.events.filter(isLabel).map(({ type }) => type)
  const fed = slots.filter(({ definition }) => types.includes(definition.source.eventType))
  if (fed.length === 0) return null
  return {
    updates: new Map(types.map((type) => [type, updatesOf(slots, type)])),
    fields: [...new Set(fed.flatMap(({ id }) => fieldsOfSlot(id)))].sort(),
    slots: Array.from({ length: groups }, (_, number) =>
      fed.filter(({ group }) => group === number).map(({ slot }) => slot),
    ),
  }
}
