import type { FeatureManifest, FeatureSetManifest, ServiceManifest } from '../engine/feature-set.ts'
import { canonicalJson } from './hash.ts'

/** One difference; null where there was nothing before, or is nothing after. */
export interface Change {
  readonly what: string
  readonly before: unknown
  readonly after: unknown
}

export interface Changed {
  readonly name: string
  readonly changes: readonly Change[]
}

export interface Difference {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly Changed[]
}

/** Lists a view's version, entity, hop and delay once, at the view, and not at each of its features. */
export interface FeatureSetDifference {
  readonly equal: boolean
  readonly hash: { readonly before: string; readonly after: string }
  readonly events: Difference
  readonly entities: Difference
  readonly views: Difference
  readonly features: Difference
  readonly services: Difference
}

/** Compares two compiled feature sets. They are equal when nothing differs, the order of features included. */
export function featureSetDifference(before: FeatureSetManifest, after: FeatureSetManifest): FeatureSetDifference {
  return {
    equal: isSame(before, after),
    hash: { before: before.hash, after: after.hash },
    events: difference(byName(before.events.map(eventOf)), byName(after.events.map(eventOf))),
    entities: difference(byName(before.entities), byName(after.entities)),
    views: difference(viewsOf(before), viewsOf(after)),
    features: difference(byName(before.features.map(featureOf)), byName(after.features.map(featureOf))),
    services: servicesDifference(before, after),
  }
}

type Fields = Readonly<Record<string, unknown>>
type Named = ReadonlyMap<string, Fields>

function byName(items: readonly { readonly name: string }[]): Named {
  return new Map(items.map(({ name, ...fields }) => [name, fields]))
}

function eventOf({ type, version }: FeatureSetManifest['events'][number]) {
  return { name: type, version }
}

function difference(before: Named, after: Named): Difference {
  return {
    ...namesOf(before, after),
    changed: [...before].flatMap(([name, fields]) => {
      const now = after.get(name)
      const changes = now === undefined ? [] : changesOf(fields, now)
      return changes.length === 0 ? [] : [{ name, changes }]
    }),
  }
}

function namesOf(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>) {
  return {
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
  }
}

function changesOf(before: Fields, after: Fields): Change[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap((what) => {
    const [old, now] = [before[what] ?? null, after[what] ?? null]
    return isSame(old, now) ? [] : [{ what, before: old, after: now }]
  })
}

function isSame(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b)
}

/** The properties that all features of a view share. */
const ofTheView = ['version', 'hop', 'delay'] as const

function viewsOf({ features }: FeatureSetManifest): Named {
  const views = new Map<string, Fields>()
  for (const { view, entity, definition } of features) {
    if (view === null) continue
    const defined = fieldsOf(definition)
    views.set(view, { entity, ...Object.fromEntries(ofTheView.map((field) => [field, defined[field]])) })
  }
  return views
}

function featureOf({ name, type, nullable, description, reason, view, definition }: FeatureManifest) {
  const common = { name, type, nullable, description, ...(reason === undefined ? {} : { reason }) }
  if (view === null) return { ...common, expression: definition }
  const own = Object.entries(fieldsOf(definition)).filter(([field]) => !ofTheView.some((known) => known === field))
  return { ...common, view, ...Object.fromEntries(own) }
}

function fieldsOf(definition: unknown): Fields {
  return typeof definition === 'object' && definition !== null ? { ...definition } : {}
}

function servicesDifference(before: FeatureSetManifest, after: FeatureSetManifest): Difference {
  const then = new Map(before.services.map((service) => [service.name, service]))
  const now = new Map(after.services.map((service) => [service.name, service]))
  const changed = [...then].flatMap(([name, old]) => {
    const service = now.get(name)
    return service === undefined || service.hash === old.hash ? [] : [{ name, changes: serviceChanges(old, service) }]
  })
  return { ...namesOf(then, now), changed }
}

/** The same vector with another hash: one of its features, or an input of it, means something else. */
function serviceChanges(before: ServiceManifest, after: ServiceManifest): Change[] {
  const [old, now] = [new Set(before.features), new Set(after.features)]
  const gone = before.features.filter((name) => !now.has(name))
  const come = after.features.filter((name) => !old.has(name))
  const kept = (vector: readonly string[]) => vector.filter((name) => old.has(name) && now.has(name))
  const changes: Change[] = []
  if (gone.length > 0) changes.push({ what: 'removed from the vector', before: gone, after: null })
  if (come.length > 0) changes.push({ what: 'added to the vector', before: null, after: come })
  if (!isSame(kept(before.features), kept(after.features))) {
    changes.push({ what: 'order of the vector', before: kept(before.features), after: kept(after.features) })
  }
  if (changes.length === 0) changes.push({ what: 'meaning', before: before.hash, after: after.hash })
  return changes
}
