import { stateCost, type Bytes, type GroupCost } from '../../../engine/state-cost.ts'
import { expressionText } from '../../../compile/expression-text.ts'
import { compileManifest } from '../../../compile/manifest.ts'
import { compilePlan } from '../../../compile/plan.ts'
import { fieldOf, slotId } from '../../../compile/slots.ts'
import { assert } from '../../../base/errors.ts'
import { featuresOf } from '../../../engine/expression.ts'
import type { FeatureManifest } from '../../../engine/feature-set.ts'
import type { Aggregate, SlotDefinition } from '../../../define/aggregate.ts'
import type { FeatureSet } from '../../../define/feature-set.ts'
import type { Condition } from '../../../define/source.ts'
import { featureName, type View } from '../../../define/view.ts'

/** The slot of a tile that a feature reads. */
export interface ShownSlot {
  readonly kind: SlotDefinition['kind']
  readonly eventType: string
  readonly field: string | null
  readonly where: readonly Condition[]
  readonly size: number
  readonly bytesPerTile: Bytes
  /** Other views that read the same slot: a tile holds it once for all of them. */
  readonly sharedWith: readonly string[]
}

export interface ShownState {
  readonly tilesPerEntityMax: number
  /** The tile's number, which all slots of the hop share. */
  readonly tileBytes: Bytes
  /** The bytes of all tiles and all slots, if no other view shared them. */
  readonly bytesPerEntityMax: Bytes
}

/** The readers of a feature: derived features, directly or through others, and elements of vectors. */
export interface ShownUse {
  readonly derived: readonly string[]
  readonly services: readonly { readonly name: string; readonly elements: readonly string[] }[]
}

/** The windows of an aggregated feature or a view; null for a derived feature, which has no state. */
export interface ShownWindows {
  readonly entity: string
  readonly keyFields: readonly string[]
  readonly version: number
  readonly windows: readonly string[]
  readonly hop: string
  readonly delay: string
  readonly slots: readonly ShownSlot[]
  readonly state: ShownState
}

export interface ShownFeature extends Pick<FeatureManifest, 'name' | 'type' | 'nullable' | 'description' | 'view'> {
  readonly kind: 'feature'
  readonly definition: unknown
  /** The expression of a derived feature. */
  readonly expression: string | null
  readonly aggregated: ShownWindows | null
  readonly usedBy: ShownUse
  /** The SQL of the feature; null when the caller generates none. */
  readonly sql: string | null
}

export interface ShownView {
  readonly kind: 'view'
  readonly name: string
  readonly features: readonly string[]
  readonly aggregated: ShownWindows
  readonly usedBy: ShownUse
  readonly sql: string | null
}

export type Shown = ShownFeature | ShownView | { readonly kind: 'unknown'; readonly reason: string }

/** Describes a feature or a view in full. `sql` answers the SQL of a feature or a view by its name. */
export function showFeature(set: FeatureSet, name: string, sql?: (name: string) => string): Shown {
  const view = set.views.find((candidate) => candidate.name === name)
  const sqlText = () => (sql === undefined ? null : sql(name))
  if (view !== undefined) {
    const features = view.aggregates.flatMap((a) => view.windows.map((w) => featureName(view.name, a.name, w)))
    const aggregated = windowsOf(set, view, view.aggregates, view.windows)
    return { kind: 'view', name, features, aggregated, usedBy: useOf(set, features), sql: sqlText() }
  }
  const feature = compileManifest(set).features.find((candidate) => candidate.name === name)
  if (feature === undefined) return { kind: 'unknown', reason: unknownReason(set, name) }
  const { type, nullable, description, definition } = feature
  const derived = set.derived.find((candidate) => candidate.name === name)
  return {
    ...{ kind: 'feature', name, type, nullable, description, view: feature.view, definition },
    expression: derived === undefined ? null : expressionText(derived.expression.tree),
    aggregated: aggregatedOf(set, feature),
    usedBy: useOf(set, [name]),
    sql: sqlText(),
  }
}

function aggregatedOf(set: FeatureSet, { view: viewName, name }: FeatureManifest): ShownWindows | null {
  const view = set.views.find((candidate) => candidate.name === viewName)
  for (const aggregate of view?.aggregates ?? []) {
    const window = view?.windows.find((w) => featureName(view.name, aggregate.name, w) === name)
    if (view !== undefined && window !== undefined) return windowsOf(set, view, [aggregate], [window])
  }
  return null
}

function windowsOf(
  set: FeatureSet,
  view: View,
  aggregates: readonly Aggregate[],
  windows: readonly string[],
): ShownWindows {
  const entity = compilePlan(set).entities.find(({ name }) => name === view.entity.name)
  const anyFeature = entity?.features.find(({ name }) => name.startsWith(`${view.name}__`))
  assert(entity !== undefined && anyFeature !== undefined, 'a plan has the features of every view')
  const [group, cost] = [entity.groups[anyFeature.group], stateCost(entity)[anyFeature.group]]
  assert(group !== undefined && cost !== undefined, 'a feature has its tiles')
  const definitions = new Map(aggregates.flatMap((a) => a.slots.map((slot) => [slotId(slot), slot])))
  const slots = [...definitions].map(([id, { kind, source, column, size }]): ShownSlot => {
    const slot = cost.slots[group.slots.findIndex((planned) => planned.id === id)]
    assert(slot !== undefined, 'a plan has the slots of every view')
    const field = fieldOf(source, column)
    const { eventType, where } = source
    const { bytesPerTile } = slot
    return { kind, eventType, field, where, size, bytesPerTile, sharedWith: sharedWith(set, view, id) }
  })
  const { version, hop, delay } = view
  const { name, keyFields } = view.entity
  return { entity: name, keyFields, version, windows, hop, delay, slots, state: stateOf(cost, slots) }
}

function stateOf({ tilesMax, tileBytes }: GroupCost, slots: readonly ShownSlot[]): ShownState {
  const total = (which: keyof Bytes) =>
    tilesMax * slots.reduce((sum, { bytesPerTile }) => sum + bytesPerTile[which], tileBytes[which])
  const bytesPerEntityMax = { typical: total('typical'), largest: total('largest') }
  return { tilesPerEntityMax: tilesMax, tileBytes, bytesPerEntityMax }
}

function sharedWith(set: FeatureSet, view: View, id: string): string[] {
  return set.views
    .filter((other) => other !== view && other.entity === view.entity && other.hop === view.hop)
    .filter(({ aggregates }) => aggregates.some(({ slots }) => slots.some((slot) => slotId(slot) === id)))
    .map(({ name }) => name)
}

function useOf(set: FeatureSet, features: readonly string[]): ShownUse {
  const reached = new Set(features)
  const derived: string[] = []
  // In the order of definition: a derived feature reads only features defined before it.
  for (const { name, expression } of set.derived) {
    if (!featuresOf(expression.tree).some((read) => reached.has(read))) continue
    reached.add(name)
    derived.push(name)
  }
  const services = set.services
    .map(({ name, vector }) => ({ name, elements: vector.filter((element) => reached.has(element)) }))
    .filter(({ elements }) => elements.length > 0)
  return { derived, services }
}

/** A mistyped long name usually has its beginning right. */
const nearStartMin = 6
const nearMax = 5

function unknownReason(set: FeatureSet, name: string): string {
  const known = [...set.views.map((view) => view.name), ...compileManifest(set).features.map((f) => f.name)]
  const near = known
    .filter((candidate) => candidate.includes(name) || sharedStart(candidate, name) >= nearStartMin)
    .sort((a, b) => sharedStart(b, name) - sharedStart(a, name))
    .slice(0, nearMax)
  const hint = near.length === 0 ? 'riverbank features list prints them all' : `near it: ${near.join(', ')}`
  return `there is no feature or view "${name}"; ${hint}`
}

function sharedStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length += 1
  return length
}
