import { eventFieldsOf, featuresOf, timeField } from '../../engine/expression.ts'
import type { EventType } from '../../events/event.ts'
import { fieldsOfEvent } from '../event-field.ts'
import type { FeatureSet } from '../feature-set.ts'
import { missingFeatures } from './missing.ts'
import { reasonForm, type Reason } from '../reason.ts'
import { scoredTypeOf, scoredTypes } from './scored-types.ts'
import { featureName, type View } from '../view.ts'

/** Throws one sentence, which names the definition, on the first mistake. */
export function checkFeatureSet(set: FeatureSet): void {
  const keys = set.entities.filter((entity) => entity.partitionKey)
  if (keys.length !== 1) throw new Error(`a feature set has one entity with partitionKey, not ${keys.length}`)
  checkOnce('entities', set.entities)
  checkOnce('views', set.views)
  checkOnce('services', set.services)
  checkOnce(
    'event types',
    set.events.map(({ type }) => ({ name: type })),
  )
  for (const event of set.events) checkKeys(set, event)
  const known = knownFeatures(set)
  checkReasons(set)
  checkLabels(set)
  checkScored(set)
  checkServices(set, known)
}

function checkOnce(what: string, all: readonly { readonly name: string }[]): void {
  const repeated = all.find(({ name }, i) => all.findIndex((other) => other.name === name) !== i)
  if (repeated !== undefined) throw new Error(`two ${what} are both named ${repeated.name}`)
}

/** An id is a text. The log's key decides what is a duplicate, so every event must have it. */
function checkKeys({ entities }: FeatureSet, event: EventType): void {
  const fields = fieldsOfEvent(event)
  for (const { name, keyFields, partitionKey } of entities) {
    for (const key of keyFields) {
      const field = fields.get(key)
      if (field === undefined) continue
      const mistake = (text: string) =>
        new Error(`event type "${event.type}": ${key} makes the id of the ${name}: ${text}`)
      if (field.kind !== 'text') throw mistake('it must be a text')
      if (partitionKey && field.optional) throw mistake('the log is keyed by it, so it must not be optional')
    }
    const missing = keyFields.find((key) => !fields.has(key))
    if (partitionKey && event.scored !== undefined && missing !== undefined) {
      throw new Error(`event type "${event.type}": is scored, so it must name the ${name}: it has no field ${missing}`)
    }
  }
}

/** All features; throws unless each is defined once, after those that it reads. */
function knownFeatures(set: FeatureSet): ReadonlySet<string> {
  const known = new Set<string>()
  const addOnce = (name: string) => {
    if (known.has(name)) throw new Error(`two features are both named ${name}`)
    known.add(name)
  }
  for (const view of set.views) {
    if (!set.entities.includes(view.entity))
      throw new Error(`view "${view.name}": its entity is not in the feature set`)
    for (const aggregate of view.aggregates) {
      for (const { source } of aggregate.slots) checkSource(set, view, source.eventType)
      for (const window of view.windows) addOnce(featureName(view.name, aggregate.name, window))
    }
  }
  for (const derived of set.derived) {
    for (const name of featuresOf(derived.expression.tree)) {
      if (known.has(name)) continue
      const cycle = cycleOf(set, derived.name, [name])
      if (cycle !== null) throw new Error(`feature "${derived.name}": reads itself, by way of ${cycle.join(', ')}`)
      throw new Error(`feature "${derived.name}": reads ${name}, which is not defined before it`)
    }
    for (const field of eventFieldsOf(derived.expression.tree)) checkEventField(set, derived.name, field)
    addOnce(derived.name)
  }
  return known
}

function checkSource(set: FeatureSet, view: View, eventType: string): void {
  const event = set.events.find(({ type }) => type === eventType)
  if (event === undefined) throw new Error(`view "${view.name}": event type ${eventType} is not in the feature set`)
  const fields = fieldsOfEvent(event)
  const missing = view.entity.keyFields.find((field) => !fields.has(field))
  if (missing !== undefined)
    throw new Error(
      `view "${view.name}": ${eventType} has no field ${missing}, which makes the id of the ${view.entity.name}`,
    )
}

/** The features on a path from the last of these back to the first feature; null where there is none. */
function cycleOf(set: FeatureSet, feature: string, way: readonly string[]): readonly string[] | null {
  const last = way.at(-1)
  if (last === feature) return way
  const derived = set.derived.find(({ name }) => name === last)
  for (const read of derived === undefined ? [] : featuresOf(derived.expression.tree)) {
    const cycle = way.includes(read) ? null : cycleOf(set, feature, [...way, read])
    if (cycle !== null) return cycle
  }
  return null
}

/** Refuses a field that no scored event has, or that is neither number nor boolean. */
function checkEventField({ events }: FeatureSet, feature: string, field: string): void {
  const scored = events.filter((event) => event.scored !== undefined)
  const own = scored.filter((event) => fieldsOfEvent(event).has(field))
  const mistake = (text: string) => new Error(`feature "${feature}": reads event.${field}${text}`)
  if (field === timeField) {
    const other = own.find(({ timestampField }) => timestampField !== timeField)
    if (other !== undefined) throw mistake(`, the time of the event, and ${other.type} has another field of that name`)
    return
  }
  if (own.length === 0) throw mistake(', and no scored event has that field')
  const unreadable = own.find((event) => !['number', 'boolean'].includes(fieldsOfEvent(event).get(field)?.kind ?? ''))
  if (unreadable !== undefined) throw mistake(`, which is no number and no boolean in ${unreadable.type}`)
}

/** Refuses two features with one reason code. */
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

/** The partition-key entity must know enough of a scored event to decide whether a label of it is right. */
function checkLabels({ events, entities }: FeatureSet): void {
  const scored = new Set(scoredTypes({ events }))
  const firsts = new Map<string, string>()
  for (const event of events) {
    const { type, label } = event
    if (label === undefined) continue
    if (!scored.has(label.subjectType))
      throw new Error(`event type "${type}": labels ${label.subjectType}, which is not scored`)
    const repeated = Object.values(label.repeats).sort().join(', ')
    const first = firsts.get(label.subjectType) ?? repeated
    firsts.set(label.subjectType, first)
    if (repeated !== first) throw new Error(`event type "${type}": repeats ${repeated}, another label repeats ${first}`)
    const fields = fieldsOfEvent(event)
    for (const { name, keyFields } of entities) {
      const isNamed = keyFields.every((field) => fields.has(field))
      const missing = keyFields.find((field) => !Object.hasOwn(label.repeats, field))
      if (isNamed && missing !== undefined) {
        throw new Error(`event type "${type}": names the ${name}, so it must repeat ${missing} of its subject`)
      }
    }
  }
}

/** Refuses unknown features in a vector, and those that can be missing. */
function checkServices(set: FeatureSet, known: ReadonlySet<string>): void {
  for (const service of set.services) {
    const { name, vector } = service
    const missing = missingFeatures(set, scoredTypeOf(service, set))
    for (const feature of vector) {
      if (!known.has(feature)) throw new Error(`service "${name}": no feature ${feature}`)
      const why = missing.get(feature)
      if (why !== undefined) throw new Error(`service "${name}": ${feature} ${why}; give it a default with coalesce`)
    }
  }
}

/** Each scored type needs a service, each score a type of its own, and each service a scored type. */
function checkScored(set: FeatureSet): void {
  const served = new Set(set.services.map((service) => scoredTypeOf(service, set)))
  const outputEvents = new Map<string, string>()
  for (const { type, scored } of set.events) {
    if (scored === undefined) continue
    if (!served.has(type)) throw new Error(`event type "${type}": it is scored, and no service is of it`)
    const other = outputEvents.get(scored.emits)
    if (other !== undefined) throw new Error(`event type "${type}": the scores of ${other} are ${scored.emits}, too`)
    outputEvents.set(scored.emits, type)
    if (set.events.some((event) => event.type === scored.emits)) {
      throw new Error(`event type "${type}": its scores are ${scored.emits}, which is a type of events`)
    }
  }
}
