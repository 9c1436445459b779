import { safeParse, z } from 'zod'
import type { EventCatalog } from '../../events/event.ts'
import { idSeparator, splitIdParts } from '../../engine/entity-id.ts'
import type { FeatureStatus } from './freshness.ts'
import { statusText } from './json-text.ts'
import type { EntityManifest, FeatureManifest, FeatureSetManifest } from '../../engine/feature-set.ts'

export interface CatalogEntity {
  readonly name: string
  readonly keyFields: readonly string[]
  /** For each key field, the schemas that events give it. Empty if no event has the field. */
  readonly keySchemas: readonly (readonly z.core.$ZodType[])[]
  readonly horizonMs: number
  /** In the order of the feature set: see {@link EntityFeatures.values}. */
  readonly features: readonly CatalogFeature[]
}

export interface CatalogFeature {
  readonly name: string
  /** Without its view: Feast's name of the feature when a request does not ask for full names. */
  readonly shortName: string
  /** null for a derived feature. */
  readonly entity: string | null
  /** Its place among the features of its entity, or among the derived ones. */
  readonly place: number
  /** The names as JSON. */
  readonly text: string
  readonly shortText: string
  /** `,"name":`, a member that is not the first of its object, up to its value. */
  readonly member: string
  /** The whole member where the value is a status. */
  readonly statusMember: Readonly<Record<FeatureStatus, string>>
}

/** The feature set, arranged for looking up names. */
export interface FeatureCatalog {
  readonly hash: string
  readonly entities: ReadonlyMap<string, CatalogEntity>
  /** Those with several key fields. */
  readonly composites: readonly CatalogEntity[]
  /** By entity name and by single key field: `account` and `accountId` mean the same. */
  readonly entitiesByAlias: ReadonlyMap<string, CatalogEntity>
  readonly features: ReadonlyMap<string, CatalogFeature>
  /** By every accepted spelling: `view__name`, Feast's `view:name`, and the name of a derived feature. */
  readonly featuresByReference: ReadonlyMap<string, CatalogFeature>
  readonly services: ReadonlyMap<string, readonly CatalogFeature[]>
}

export function createFeatureCatalog(manifest: FeatureSetManifest, events: EventCatalog): FeatureCatalog {
  const placed = new Map<string | null, number>()
  const features = new Map(
    manifest.features.map((feature) => {
      const place = placed.get(feature.entity) ?? 0
      placed.set(feature.entity, place + 1)
      return [feature.name, catalogFeature(feature, place)]
    }),
  )
  const byReference = new Map(features)
  for (const { name, view } of manifest.features) {
    const feature = features.get(name)
    if (feature !== undefined && view !== null) byReference.set(`${view}:${feature.shortName}`, feature)
  }
  const entities = new Map(
    manifest.entities.map((entity) => {
      const own = [...features.values()].filter((feature) => feature.entity === entity.name)
      return [entity.name, catalogEntity(entity, own, events)]
    }),
  )
  const byAlias = new Map([...entities.values()].flatMap((entity) => singleKey(entity)))
  for (const [name, entity] of entities) byAlias.set(name, entity)
  const services = manifest.services.map((service) => {
    return [service.name, service.features.flatMap((name) => features.get(name) ?? [])] as const
  })
  return {
    hash: manifest.hash,
    entities,
    composites: [...entities.values()].filter(({ keyFields }) => keyFields.length > 1),
    entitiesByAlias: byAlias,
    features,
    featuresByReference: byReference,
    services: new Map(services),
  }
}

/**
 * Why no instance of the entity can have this id, null when one can: an id has all its parts, and events accept each of
 * them.
 */
export function mistakeInId({ name, keyFields, keySchemas }: CatalogEntity, id: string): string | null {
  const parts = keyFields.length === 1 ? [id] : splitIdParts(id)
  if (parts.length !== keyFields.length || parts.includes('')) {
    return `a ${name} is ${keyFields.join(idSeparator)}, no part empty`
  }
  for (const [i, part] of parts.entries()) {
    const refusals = (keySchemas[i] ?? []).map((schema) => safeParse(schema, part))
    const [refusal] = refusals
    if (refusal?.success !== false || refusals.some(({ success }) => success)) continue
    return `${keyFields[i]}: ${refusal.error.issues[0]?.message}`
  }
  return null
}

function catalogFeature({ name, view, entity }: FeatureManifest, place: number): CatalogFeature {
  const prefix = `${view ?? ''}__`
  const shortName = view !== null && name.startsWith(prefix) ? name.slice(prefix.length) : name
  const [text, shortText] = [JSON.stringify(name), JSON.stringify(shortName)]
  const member = `,${text}:`
  const statusMember = {
    PRESENT: member + statusText.PRESENT,
    NULL_VALUE: member + statusText.NULL_VALUE,
    NOT_FOUND: member + statusText.NOT_FOUND,
    OUTSIDE_MAX_AGE: member + statusText.OUTSIDE_MAX_AGE,
  }
  return { name, entity, shortName, place, text, shortText, member, statusMember }
}

function singleKey(entity: CatalogEntity): [string, CatalogEntity][] {
  const [field] = entity.keyFields
  return field !== undefined && entity.keyFields.length === 1 ? [[field, entity]] : []
}

function catalogEntity(
  { name, keyFields, horizonMs }: EntityManifest,
  features: readonly CatalogFeature[],
  events: EventCatalog,
): CatalogEntity {
  return { name, keyFields, keySchemas: keyFields.map((field) => schemasOf(field, events)), horizonMs, features }
}

function schemasOf(field: string, events: EventCatalog): z.core.$ZodType[] {
  const schemas = [...events.values()].map(({ versions, currentVersion }) => {
    const { schema } = versions[currentVersion] ?? {}
    const rule: unknown = schema instanceof z.ZodObject ? schema.shape[field] : undefined
    return rule instanceof z.ZodType ? rule : undefined
  })
  return [...new Set(schemas.filter((schema) => schema !== undefined))]
}
