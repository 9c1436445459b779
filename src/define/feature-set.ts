import { featuresOf } from '../engine/expression.ts'
import type { EventType } from '../events/event.ts'
import type { Entity } from './entity.ts'
import { featureReference, type Typed } from './expression.ts'
import { reasonForm, type Reason } from './reason.ts'
import { featureName, type View } from './view.ts'

/** A feature computed from other features and the payment itself. Usable in expressions, like any other. */
export interface Derived<Nullable extends boolean = boolean> extends Typed<Nullable> {
  readonly name: string
  readonly description: string
  readonly expression: Typed<Nullable>
  /** Left out: the description is said. */
  readonly reason?: Reason
}

export function defineDerived<Nullable extends boolean>(
  name: string,
  description: string,
  expression: Typed<Nullable>,
  reason?: Reason,
): Derived<Nullable> {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) throw new Error(`feature "${name}": write it in lower_snake_case`)
  const reference = featureReference(name, expression.nullable, expression.magnitude)
  const told = reason === undefined ? {} : { reason }
  return Object.freeze({ ...reference, name, description, expression, ...told })
}

/** The ordered features that one model takes. */
export interface Service {
  readonly name: string
  readonly vector: readonly string[]
}

/** Takes only features that always have a value: give a nullable one a default with `coalesce`. */
export function defineService(options: { readonly name: string; readonly vector: readonly Typed<false>[] }): Service {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(options.name)) {
    throw new Error(`service "${options.name}": write the name in lower_snake_case`)
  }
  const vector = options.vector.map((element, position) => {
    if (element.tree.op !== 'feature') {
      throw new Error(
        `service "${options.name}": element ${position} is an expression; give it a name with defineDerived`,
      )
    }
    if (canBeMissing(element)) {
      throw new Error(
        `service "${options.name}": ${element.tree.name} can be missing or leave the finite numbers; give it a default with coalesce`,
      )
    }
    return element.tree.name
  })
  const repeated = vector.find((name, i) => vector.indexOf(name) !== i)
  if (repeated !== undefined) throw new Error(`service "${options.name}": ${repeated} stands twice in the vector`)
  return Object.freeze({ name: options.name, vector })
}

/** The type of an element cannot know what its constants do. */
function canBeMissing({ nullable }: Typed): boolean {
  return nullable
}

export interface FeatureSet {
  readonly events: readonly EventType[]
  /** The only event type that is scored; the others are observed. */
  readonly scored: string
  readonly entities: readonly Entity[]
  readonly views: readonly View[]
  readonly derived: readonly Derived[]
  readonly services: readonly Service[]
}

export function defineFeatureSet(set: FeatureSet): FeatureSet {
  const keys = set.entities.filter((entity) => entity.partitionKey)
  if (keys.length !== 1) throw new Error(`a feature set has one entity with partitionKey, not ${keys.length}`)
  checkOnce('entities', set.entities)
  checkOnce('views', set.views)
  checkOnce('services', set.services)
  checkOnce(
    'event types',
    set.events.map(({ type }) => ({ name: type })),
  )
  const known = new Set<string>()
  for (const view of set.views) {
    if (!set.entities.includes(view.entity))
      throw new Error(`view "${view.name}": its entity is not in the feature set`)
    for (const aggregate of view.aggregates) {
      for (const { source } of aggregate.slots) checkSource(set, view, source.eventType)
      for (const window of view.windows) addOnce(known, featureName(view.name, aggregate.name, window))
    }
  }
  for (const derived of set.derived) {
    for (const name of featuresOf(derived.expression.tree)) {
      if (!known.has(name)) throw new Error(`feature "${derived.name}": reads ${name}, which is not defined before it`)
    }
    addOnce(known, derived.name)
  }
  checkReasons(set)
  checkLabels(set)
  for (const service of set.services) {
    const missing = service.vector.find((name) => !known.has(name))
    if (missing !== undefined) throw new Error(`service "${service.name}": no feature ${missing}`)
  }
  return Object.freeze(set)
}

function checkOnce(what: string, all: readonly { readonly name: string }[]): void {
  const repeated = all.find(({ name }, i) => all.findIndex((other) => other.name === name) !== i)
  if (repeated !== undefined) throw new Error(`two ${what} are both named ${repeated.name}`)
}

function addOnce(known: Set<string>, name: string): void {
  if (known.has(name)) throw new Error(`two features are both named ${name}`)
  known.add(name)
}

/** A code says which feature it was. */
function checkReasons({ views, derived }: FeatureSet): void {
  const codes = new Set<string>()
  const add = (feature: string, reason: Reason | undefined, window: string | null) => {
    const code = reason === undefined ? feature : reasonForm(reason, feature, window).code
    if (codes.has(code)) throw new Error(`feature "${feature}": another one gives the reason ${code}`)
    codes.add(code)
  }
  for (const { name, aggregates, windows, reasons } of views) {
    for (const aggregate of aggregates) {
      for (const window of windows) add(featureName(name, aggregate.name, window), reasons[aggregate.name], window)
    }
  }
  for (const { name, reason } of derived) add(name, reason, null)
}

function checkSource(set: FeatureSet, view: View, eventType: string): void {
  const event = set.events.find(({ type }) => type === eventType)
  if (event === undefined) throw new Error(`view "${view.name}": event type ${eventType} is not in the feature set`)
  const { schema } = event.versions[event.currentVersion] ?? {}
  const shape = schema !== undefined && 'shape' in schema ? (schema.shape as object) : {}
  const missing = view.entity.keyFields.find((field) => !(field in shape))
  if (missing !== undefined) throw new Error(`view "${view.name}": ${eventType} has no field ${missing}`)
}

/** What the partition-key entity knows of a scored event must be enough to tell whether a label of it is right. */
function checkLabels({ events, scored, entities }: FeatureSet): void {
  let first: string | null = null
  for (const { type, label, versions, currentVersion } of events) {
    if (label === undefined) continue
    if (label.subjectType !== scored)
      throw new Error(`event type "${type}": labels ${label.subjectType}, which is not scored`)
    const repeated = Object.values(label.repeats).sort().join(', ')
    first ??= repeated
    if (repeated !== first) throw new Error(`event type "${type}": repeats ${repeated}, another label repeats ${first}`)
    const { schema } = versions[currentVersion] ?? {}
    const shape = schema !== undefined && 'shape' in schema ? (schema.shape as object) : {}
    for (const { name, keyFields } of entities) {
      const isNamed = keyFields.every((field) => field in shape)
      const missing = keyFields.find((field) => !(field in label.repeats))
      if (isNamed && missing !== undefined) {
        throw new Error(`event type "${type}": names the ${name}, so it must repeat ${missing} of its subject`)
      }
    }
  }
}
