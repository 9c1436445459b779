import { composedColumns, missingEntities, type EntityColumn } from './composite-columns.ts'
import { mistakeInId, type CatalogFeature, type FeatureCatalog } from './feature-catalog.ts'
import type { FeatureRequest } from './feature-reader.ts'

/** A request of Feast's shape, with all names found. */
export interface OnlineQuery {
  readonly features: readonly CatalogFeature[]
  /** One column per entity, in the order and under the names of the request; all of the same length. */
  readonly columns: readonly EntityColumn[]
  /** Composite entities made of the columns; they have no ids in the answer. */
  readonly composed: readonly EntityColumn[]
  readonly atMs: number
  /** One for all rows, or one per row; null without. */
  readonly request: readonly FeatureRequest[] | null
  readonly fullFeatureNames: boolean
}

export type OnlineQueryResult =
  | { readonly kind: 'query'; readonly query: OnlineQuery }
  | {
      readonly kind: 'refused'
      readonly code:
        | 'unknown_feature'
        | 'unknown_feature_service'
        | 'missing_entity'
        | 'invalid_entity_id'
        | 'feature_name_collision'
        | 'invalid_request'
      readonly detail: string
      readonly names: readonly string[]
    }

export interface OnlineBody {
  readonly feature_service?: string | undefined
  readonly features?: readonly string[] | undefined
  readonly entities: Readonly<Record<string, readonly (string | number)[]>>
  readonly full_feature_names: boolean
}

/** Resolves every name of a request, or names the unknown ones. */
export function planOnlineQuery(
  body: OnlineBody,
  catalog: FeatureCatalog,
  at: { readonly atMs: number; readonly request: readonly FeatureRequest[] | null },
): OnlineQueryResult {
  const chosen = chooseFeatures(body, catalog)
  if (chosen.kind === 'refused') return chosen
  const { features } = chosen
  const columns: EntityColumn[] = []
  const unknown: string[] = []
  for (const label of Object.keys(body.entities)) {
    const ids = body.entities[label] ?? []
    const entity = catalog.entitiesByAlias.get(label)
    if (entity === undefined) unknown.push(label)
    else columns.push({ label, entity, ids: ids.map(String), asked: ids })
  }
  if (unknown.length > 0) return refuse('invalid_request', `there are no entities ${unknown.join(', ')}`, unknown)
  const named = columns.map((column) => column.entity.name)
  if (new Set(named).size < named.length) return refuse('invalid_request', 'an entity is named twice', named)
  const rows = columns[0]?.ids.length ?? 0
  if (columns.some((column) => column.ids.length !== rows)) {
    return refuse('invalid_request', 'all lists of entities must have the same length', named)
  }
  for (const { label, entity, ids } of columns) {
    for (const id of ids) {
      const mistake = mistakeInId(entity, id)
      if (mistake !== null) return refuse('invalid_entity_id', `entities.${label}: ${mistake}`, [label])
    }
  }
  const composed = composedColumns(catalog, columns, features)
  const missing = missingEntities(catalog, [...columns, ...composed], features)
  if (missing !== null) return refuse('missing_entity', missing.detail, missing.names)
  if (at.request !== null && at.request.length !== 1 && at.request.length !== rows) {
    return refuse('invalid_request', `request: ${at.request.length} values for ${rows} rows`, ['request'])
  }
  if (columns.length === 0) return refuse('invalid_request', 'entities: name at least one', [])
  const collisions = body.full_feature_names ? [] : repeatedNames(features)
  if (collisions.length > 0) return refuse('feature_name_collision', 'ask for full_feature_names', collisions)
  return { kind: 'query', query: { features, columns, composed, fullFeatureNames: body.full_feature_names, ...at } }
}

function chooseFeatures(body: OnlineBody, catalog: FeatureCatalog) {
  if ((body.feature_service === undefined) === (body.features === undefined)) {
    return refuse('invalid_request', 'give either feature_service or features', [])
  }
  if (body.feature_service !== undefined) {
    const features = catalog.services.get(body.feature_service)
    if (features !== undefined) return { kind: 'features', features } as const
    return refuse('unknown_feature_service', `services are ${[...catalog.services.keys()].join(', ')}`, [
      body.feature_service,
    ])
  }
  const unknown: string[] = []
  const features = new Set<CatalogFeature>()
  for (const reference of body.features ?? []) {
    const feature = catalog.featuresByReference.get(reference)
    if (feature !== undefined) features.add(feature)
    else if (!unknown.includes(reference)) unknown.push(reference)
  }
  if (unknown.length > 0) return refuse('unknown_feature', `there are no features ${unknown.join(', ')}`, unknown)
  return { kind: 'features', features: [...features] } as const
}

type Refusal = OnlineQueryResult & { kind: 'refused' }

function refuse(code: Refusal['code'], detail: string, names: readonly string[]): Refusal {
  return { kind: 'refused', code, detail, names }
}

/** Names without their views that two of the features share. */
function repeatedNames(features: readonly CatalogFeature[]): string[] {
  const names = new Set<string>()
  let repeated: Set<string> | null = null
  for (const { shortName } of features) {
    if (names.size === names.add(shortName).size) (repeated ??= new Set()).add(shortName)
  }
  return repeated === null ? [] : [...repeated]
}
