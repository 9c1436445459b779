import { composedColumns, missingEntities, type EntityColumn } from './composite-columns.ts'
import { mistakeInId, type FeatureCatalog } from './feature-catalog.ts'
import type { FeatureRequest } from './feature-reader.ts'
import { RecentSelections, selectionOf, type FeatureSelection } from './feature-selection.ts'

/** A request of Feast's shape, with all names found. */
export interface OnlineQuery {
  readonly selection: FeatureSelection
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

interface OnlineTime {
  readonly atMs: number
  readonly request: readonly FeatureRequest[] | null
}

/** Resolves every name of a request, or names the unknown ones. */
export type OnlinePlanner = (body: OnlineBody, at: OnlineTime) => OnlineQueryResult

export function onlinePlanner(catalog: FeatureCatalog): OnlinePlanner {
  const services = new Map([...catalog.services].map(([name, features]) => [name, selectionOf(features)]))
  const recent = new RecentSelections()
  return (body, at) => {
    const chosen = chooseFeatures(body, catalog, services, recent)
    return 'kind' in chosen ? chosen : planQuery(body, chosen, catalog, at)
  }
}

function planQuery(
  body: OnlineBody,
  selection: FeatureSelection,
  catalog: FeatureCatalog,
  at: OnlineTime,
): OnlineQueryResult {
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
  const composed = composedColumns(catalog, columns, selection.perEntity)
  const missing = missingEntities(catalog, [...columns, ...composed], selection.perEntity)
  if (missing !== null) return refuse('missing_entity', missing.detail, missing.names)
  if (at.request !== null && at.request.length !== 1 && at.request.length !== rows) {
    return refuse('invalid_request', `request: ${at.request.length} values for ${rows} rows`, ['request'])
  }
  if (columns.length === 0) return refuse('invalid_request', 'entities: name at least one', [])
  const { full_feature_names: fullFeatureNames } = body
  if (!fullFeatureNames && selection.sharedNames.length > 0) {
    return refuse('feature_name_collision', 'ask for full_feature_names', selection.sharedNames)
  }
  const { atMs, request } = at
  return { kind: 'query', query: { selection, columns, composed, fullFeatureNames, atMs, request } }
}

function chooseFeatures(
  { feature_service: service, features: references }: OnlineBody,
  catalog: FeatureCatalog,
  services: ReadonlyMap<string, FeatureSelection>,
  recent: RecentSelections,
): FeatureSelection | Refusal {
  if (service !== undefined && references === undefined) {
    const known = () => `services are ${[...catalog.services.keys()].join(', ')}`
    return services.get(service) ?? refuse('unknown_feature_service', known(), [service])
  }
  if (service !== undefined || references === undefined) {
    return refuse('invalid_request', 'give either feature_service or features', [])
  }
  const known = recent.find(references)
  if (known !== null) return known
  const unknown = references.filter((reference) => !catalog.featuresByReference.has(reference))
  if (unknown.length > 0) {
    return refuse('unknown_feature', `there are no features ${[...new Set(unknown)].join(', ')}`, [...new Set(unknown)])
  }
  const selection = selectionOf(references.flatMap((reference) => catalog.featuresByReference.get(reference) ?? []))
  recent.keep(references, selection)
  return selection
}

type Refusal = OnlineQueryResult & { kind: 'refused' }

function refuse(code: Refusal['code'], detail: string, names: readonly string[]): Refusal {
  return { kind: 'refused', code, detail, names }
}
