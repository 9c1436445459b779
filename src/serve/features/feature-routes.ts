import { flagKinds, type FlagKind } from '../../engine/flags.ts'
import { z } from 'zod'
import { assert, RiverbankError } from '../../base/errors.ts'
import { refusalCodes } from '../../engine/states-status.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { mistakeInId, type CatalogEntity, type FeatureCatalog } from './feature-catalog.ts'
import type { EntityFeatures } from './feature-reader.ts'
import { featureStatus, featureStatuses, isForgotten, remembersFromMs, type FeatureStatus } from './freshness.ts'
import { listParameter, parseList, parseTimeMs, timeParameter } from '../http/parameters.ts'
import { problemResponse } from '../http/problem.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'

const idLengthMax = 256

/** Features of one entity, for applications that have their event in hand. A hot path: no schema checks the answer. */
export function featureRoutes(deps: ServeDependencies, catalog: FeatureCatalog): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/entities/:entity/:id/features',
      access: 'key',
      timeoutMs: deps.limits.requestTimeoutMs,
      handle: (c) => readFeatures(c, deps, catalog),
      description: readFeaturesDescription([...catalog.entities.keys()]),
    },
  ]
}

async function readFeatures(c: ServeContext, deps: ServeDependencies, catalog: FeatureCatalog): Promise<Response> {
  const name = c.req.param('entity') ?? ''
  const entity = catalog.entities.get(name)
  if (entity === undefined) {
    throw new RiverbankError('unknown_entity', `entities are ${[...catalog.entities.keys()].join(', ')}`)
  }
  const id = c.req.param('id') ?? ''
  const mistake = id.length > idLengthMax ? `at most ${idLengthMax} characters` : mistakeInId(entity, id)
  if (mistake !== null) throw new RiverbankError('invalid_entity_id', mistake)
  const wanted = parseList('features', c.req.query('features'), deps.limits.featureNamesMax)
  const { names, unknown } = select(entity, catalog, wanted)
  if (unknown.length > 0) {
    const detail = `${name} has no features ${unknown.join(', ')}`
    return problemResponse(c, 'unknown_feature', detail, { extra: { names: unknown } })
  }
  const asOf = c.req.query('asOf')
  const nowMs = deps.clock.nowMs()
  const atMs = asOf === undefined ? nowMs : parseTimeMs('asOf', asOf)
  const [answer] = await deps.features.read([{ entity: name, id }], atMs)
  assert(answer !== undefined, 'the reader answers every key')
  const read = { answer, names, atMs, clock: asOf === undefined ? 'now' : 'asOf' } as const
  return jsonResponse(c, 200, describe(read, entity, catalog.hash, nowMs))
}

function select(entity: CatalogEntity, catalog: FeatureCatalog, wanted: readonly string[] | null) {
  if (wanted === null) return { names: entity.featureNames, unknown: [] }
  const unknown: string[] = []
  const names: string[] = []
  for (const reference of wanted) {
    const feature = catalog.featuresByReference.get(reference)
    if (feature?.entity === entity.name) names.push(feature.name)
    else unknown.push(reference)
  }
  return { names, unknown }
}

interface FeatureRead {
  readonly answer: EntityFeatures
  readonly names: readonly string[]
  readonly atMs: number
  readonly clock: 'now' | 'asOf'
}

function describe(read: FeatureRead, entity: CatalogEntity, featureSet: string, nowMs: number) {
  const { answer, names, atMs, clock } = read
  const forgotten = isForgotten(answer, entity.horizonMs, atMs)
  const values: Record<string, number | null> = {}
  const statuses: Record<string, FeatureStatus> = {}
  const flags: Record<string, FlagKind> = {}
  for (const name of names) {
    const value = forgotten ? null : (answer.features[name] ?? null)
    values[name] = value
    statuses[name] = featureStatus(answer.found, forgotten, value)
    const flag = answer.flags?.[name]
    if (flag !== undefined && !forgotten) flags[name] = flag
  }
  const newest = answer.newestTimeMs
  const note = noteOf(answer, entity, atMs)
  return {
    entity: entity.name,
    id: answer.key.id,
    found: answer.found,
    readAt: new Date(atMs).toISOString(),
    clock,
    values,
    statuses,
    ...(Object.keys(flags).length === 0 ? {} : { flags }),
    freshness: {
      newestObservation: newest === null ? null : new Date(newest).toISOString(),
      ageMs: newest === null ? null : nowMs - newest,
      sequence: answer.sequence,
    },
    featureSet,
    ...(note === null ? {} : { note }),
  }
}

/** Warns a client that asks about the past: the state is that of now, and does not remember everything. */
function noteOf(answer: EntityFeatures, entity: CatalogEntity, atMs: number): string | null {
  const fromMs = remembersFromMs(answer, entity.horizonMs)
  if (fromMs === null || answer.newestTimeMs === null || atMs >= answer.newestTimeMs) return null
  const from = new Date(fromMs).toISOString()
  return (
    `The state has seen later observations. Windows are computed from what it knows now, late arrivals included; ` +
    `what is older than ${from} it has forgotten. What was known at a time is in the lake.`
  )
}

const answerSchema = named(
  'EntityFeatures',
  z.object({
    entity: z.string(),
    id: z.string(),
    found: z.boolean(),
    readAt: z.iso.datetime().describe('windows end here'),
    clock: z.enum(['now', 'asOf']).describe('where readAt comes from'),
    values: z.record(z.string(), z.number().nullable()),
    statuses: z.record(z.string(), z.enum(featureStatuses)),
    flags: z
      .record(z.string(), z.enum(flagKinds))
      .optional()
      .describe('the features with a reservation; not there when there are none'),
    freshness: z.object({
      newestObservation: z.iso.datetime().nullable(),
      ageMs: z.number().int().nullable().describe('of the newest observation, by the wall clock'),
      sequence: z.number().int().nullable().describe('what the next observation takes'),
    }),
    featureSet: z.string().describe('hash of the definitions'),
    note: z.string().optional(),
  }),
)

const readFeaturesDescription = (entities: readonly string[]): Route['description'] => ({
  operationId: 'readFeatures',
  summary: 'Read the features of one entity',
  detail:
    'Windows are computed at read time and end at the wall clock, or at asOf. An asOf in the past is answered as the ' +
    'state knows it now; where it lies before everything the state remembers, values are null and OUTSIDE_MAX_AGE. An ' +
    'entity that nobody has seen is an answer too: found is false, statuses are NOT_FOUND, and values are those of empty ' +
    'windows (a count is 0, a mean is null), which is what scoring would use. The id of a composite entity is its parts joined by ' +
    '`|` (account_device: a-1%7Cd-1). An id that no event may name, or without all of its parts, is invalid_entity_id.',
  tag: 'features',
  parameters: [
    { name: 'entity', in: 'path', description: 'its name', schema: z.enum(entities) },
    {
      name: 'id',
      in: 'path',
      description: 'the id, percent-encoded; of a composite entity c%7Ct',
      schema: z.string().max(idLengthMax),
    },
    {
      name: 'features',
      in: 'query',
      description: 'names separated by commas; all of the entity when missing',
      schema: listParameter('[\\w:]+').optional(),
    },
    { name: 'asOf', in: 'query', description: 'RFC 3339 or milliseconds since 1970', schema: timeParameter.optional() },
  ],
  answers: { 200: { description: 'The features', content: { 'application/json': answerSchema } } },
  problems: [
    'unknown_entity',
    'invalid_entity_id',
    'unknown_feature',
    'invalid_parameter',
    'state_unavailable',
    ...refusalCodes,
  ],
  example: `curl -s '$base/v1/entities/${entities[0] ?? ''}/1/features'`,
})
