import { flagKinds } from '../../engine/flags.ts'
import { z } from 'zod'
import { assert, RiverbankError } from '../../base/errors.ts'
import { refusalCodes } from '../../engine/states-status.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { entityAnswerText } from './entity-answer.ts'
import { mistakeInId, type CatalogEntity, type CatalogFeature, type FeatureCatalog } from './feature-catalog.ts'
import { featureStatuses } from './freshness.ts'
import { listParameter, parseList, parseTimeMs, timeParameter } from '../http/parameters.ts'
import { problemResponse } from '../http/problem.ts'
import { textResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'

const idLengthMax = 256
const noQuery: Readonly<Record<string, string>> = {}

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
  // Most requests have no query: looking for each parameter would read the whole address every time.
  const { features: named, asOf } = c.req.url.includes('?') ? c.req.query() : noQuery
  const wanted = parseList('features', named, deps.limits.featureNamesMax)
  const { features, unknown } = select(entity, catalog, wanted)
  if (unknown.length > 0) {
    const detail = `${name} has no features ${unknown.join(', ')}`
    return problemResponse(c, 'unknown_feature', detail, { extra: { names: unknown } })
  }
  const nowMs = deps.clock.nowMs()
  const atMs = asOf === undefined ? nowMs : parseTimeMs('asOf', asOf)
  const [read] = await deps.features.read([{ entity: name, id }], atMs)
  assert(read !== undefined, 'the reader answers every key')
  const clock = asOf === undefined ? 'now' : 'asOf'
  const answer = { entity, read, features, atMs, clock, nowMs, featureSet: catalog.hash } as const
  return textResponse(c, 200, 'application/json', entityAnswerText(answer))
}

function select(entity: CatalogEntity, catalog: FeatureCatalog, wanted: readonly string[] | null) {
  if (wanted === null) return { features: entity.features, unknown: [] }
  const unknown: string[] = []
  const features: CatalogFeature[] = []
  for (const reference of wanted) {
    const feature = catalog.featuresByReference.get(reference)
    if (feature?.entity === entity.name) features.push(feature)
    else unknown.push(reference)
  }
  return { features: [...new Set(features)], unknown }
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
