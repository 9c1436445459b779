import type { FeatureSet, Service } from '../feature-set.ts'

/** The types of a set whose events are scored. */
export function scoredTypes({ events }: Pick<FeatureSet, 'events'>): readonly string[] {
  return events.filter(({ scored }) => scored !== undefined).map(({ type }) => type)
}

/** The type of the events that a service is for. */
export function scoredTypeOf(service: Service, set: Pick<FeatureSet, 'events'>): string {
  const types = scoredTypes(set)
  const [only] = types
  if (service.eventType === null) {
    if (types.length !== 1 || only === undefined) {
      throw new Error(`service "${service.name}": ${types.length} types are scored, say of which it is`)
    }
    return only
  }
  if (!types.includes(service.eventType)) {
    throw new Error(`service "${service.name}": events of type ${service.eventType} are not scored`)
  }
  return service.eventType
}
