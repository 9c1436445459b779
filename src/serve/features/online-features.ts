import type { FlagKind } from '../../engine/flags.ts'
import type { EntityKey } from '../../ports/states.ts'
import { composedColumns, missingEntities, type EntityColumn } from './composite-columns.ts'
import { mistakeInId, type CatalogFeature, type FeatureCatalog } from './feature-catalog.ts'
import type { EntityFeatures, FeatureReader, FeatureRequest } from './feature-reader.ts'
import { featureStatus, isForgotten, type FeatureStatus } from './freshness.ts'

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
  for (const [label, ids] of Object.entries(body.entities)) {
    const entity = catalog.entitiesByAlias.get(label)
    if (entity !== undefined) columns.push({ label, entity, ids: ids.map(String), asked: ids })
  }
  const unknown = Object.keys(body.entities).filter((label) => !catalog.entitiesByAlias.has(label))
  if (unknown.length > 0) return refuse('invalid_request', `there are no entities ${unknown.join(', ')}`, unknown)
  const named = columns.map((column) => column.entity.name)
  if (new Set(named).size < named.length) return refuse('invalid_request', 'an entity is named twice', named)
  if (new Set(columns.map((column) => column.ids.length)).size > 1) {
    return refuse('invalid_request', 'all lists of entities must have the same length', named)
  }
  for (const { label, entity, ids } of columns) {
    const mistake = ids.map((id) => mistakeInId(entity, id)).find((each) => each !== null) ?? null
    if (mistake !== null) return refuse('invalid_entity_id', `entities.${label}: ${mistake}`, [label])
  }
  const composed = composedColumns(catalog, columns, features)
  const missing = missingEntities(catalog, [...columns, ...composed], features)
  if (missing !== null) return refuse('missing_entity', missing.detail, missing.names)
  const rows = columns[0]?.ids.length ?? 0
  if (at.request !== null && at.request.length !== 1 && at.request.length !== rows) {
    return refuse('invalid_request', `request: ${at.request.length} values for ${rows} rows`, ['request'])
  }
  if (columns.length === 0) return refuse('invalid_request', 'entities: name at least one', [])
  const collisions = body.full_feature_names ? [] : repeated(features.map((feature) => feature.shortName))
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
  const references = [...new Set(body.features)]
  const unknown = references.filter((reference) => !catalog.featuresByReference.has(reference))
  if (unknown.length > 0) return refuse('unknown_feature', `there are no features ${unknown.join(', ')}`, unknown)
  const features = new Set(references.flatMap((reference) => catalog.featuresByReference.get(reference) ?? []))
  return { kind: 'features', features: [...features] } as const
}

type Refusal = OnlineQueryResult & { kind: 'refused' }

function refuse(code: Refusal['code'], detail: string, names: readonly string[]): Refusal {
  return { kind: 'refused', code, detail, names }
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
}

interface ColumnResult {
  readonly values: (string | number | null)[]
  readonly statuses: FeatureStatus[]
  readonly event_timestamps: string[]
  /** One per row, null where there is none; missing when no row has one. Not part of Feast's answer. */
  flags?: (FlagKind | null)[]
}

/** The answer of Feast's online API: one result per column, entity keys first. */
export interface OnlineAnswer {
  readonly metadata: { readonly feature_names: readonly string[] }
  readonly results: readonly ColumnResult[]
}

/** Feast's timestamp of an entity without an observation. */
const noTimestamp = '1970-01-01T00:00:00Z'

/**
 * Reads each entity once, however often the request names it. Without `withFlags` the answer has Feast's members only:
 * clients that read it as protobuf JSON refuse unknown members.
 */
export async function answerOnlineQuery(
  query: OnlineQuery,
  reader: FeatureReader,
  withFlags: boolean,
): Promise<OnlineAnswer> {
  const { columns, features, fullFeatureNames } = query
  const rows = columns[0]?.ids.length ?? 0
  const read = await readColumns(query, reader)
  const keyResults = columns.map(({ ids, asked }) => ({
    values: [...asked],
    statuses: ids.map(() => 'PRESENT' as const),
    event_timestamps: ids.map(() => noTimestamp),
  }))
  const results = features.map((): ColumnResult => ({ values: [], statuses: [], event_timestamps: [] }))
  const derivedNames = features.filter((feature) => feature.entity === null).map((feature) => feature.name)
  for (let row = 0; row < rows; row += 1) {
    const entities = read.map((column) => column[row]).filter((entity) => entity !== undefined)
    const derived = derivedNames.length === 0 ? {} : deriveRow(query, reader, derivedNames, entities, row)
    const newest = newestTimestamp(entities)
    for (const [index, feature] of features.entries()) {
      const result = results[index]
      if (result === undefined) continue
      const entity = entities.find((candidate) => candidate.answer.key.entity === feature.entity)
      const forgotten = entity?.forgotten ?? entities.some((candidate) => candidate.forgotten)
      const known = entity === undefined ? derived[feature.name] : entity.answer.features[feature.name]
      const value = forgotten ? null : (known ?? null)
      result.values.push(value)
      result.statuses.push(featureStatus(entity?.answer.found ?? true, forgotten, value))
      result.event_timestamps.push(entity?.timestamp ?? newest)
      const flag = forgotten ? undefined : entity?.answer.flags?.[feature.name]
      if (withFlags && flag !== undefined) {
        result.flags ??= Array.from({ length: rows }, () => null)
        result.flags[row] = flag
      }
    }
  }
  const names = features.map((feature) => (fullFeatureNames ? feature.name : feature.shortName))
  return {
    metadata: { feature_names: [...columns.map((column) => column.label), ...names] },
    results: [...keyResults, ...results],
  }
}

interface ReadEntity {
  readonly answer: EntityFeatures
  readonly forgotten: boolean
  readonly timestamp: string
}

async function readColumns(query: OnlineQuery, reader: FeatureReader): Promise<ReadEntity[][]> {
  const keys: EntityKey[] = []
  const all = [...query.columns, ...query.composed]
  const places = all.map(({ entity, ids }) => {
    const byId = new Map<string, number>()
    for (const id of ids) {
      if (byId.has(id)) continue
      byId.set(id, keys.length)
      keys.push({ entity: entity.name, id })
    }
    return byId
  })
  const answers = keys.length === 0 ? [] : await reader.read(keys, query.atMs)
  return all.map(({ entity, ids }, column) =>
    ids.flatMap((id) => {
      const answer = answers[places[column]?.get(id) ?? -1]
      if (answer === undefined) throw new Error(`the reader left out ${entity.name} ${id}`)
      const newest = answer.newestTimeMs
      return {
        answer,
        forgotten: isForgotten(answer, entity.horizonMs, query.atMs),
        timestamp: newest === null ? noTimestamp : new Date(newest).toISOString(),
      }
    }),
  )
}

function newestTimestamp(entities: readonly ReadEntity[]): string {
  const newest = Math.max(0, ...entities.map((entity) => entity.answer.newestTimeMs ?? 0))
  return newest === 0 ? noTimestamp : new Date(newest).toISOString()
}

function deriveRow(
  query: OnlineQuery,
  reader: FeatureReader,
  names: readonly string[],
  entities: readonly ReadEntity[],
  row: number,
): Readonly<Record<string, number | null>> {
  if (reader.derive === undefined) return {}
  const features: Record<string, number | null> = {}
  for (const { answer } of entities) Object.assign(features, answer.features)
  return reader.derive(names, features, query.request?.[row] ?? query.request?.[0] ?? null)
}
