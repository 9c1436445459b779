import { flagKinds } from '../../engine/flags.ts'
import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import { RiverbankError } from '../../base/errors.ts'
import { refusalCodes } from '../../engine/states-status.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import type { EventCatalog } from '../../events/event.ts'
import { accepting } from '../events/event-schemas.ts'
import type { FeatureCatalog } from './feature-catalog.ts'
import type { FeatureRequest } from './feature-reader.ts'
import { featureStatuses } from './freshness.ts'
import { answerOnlineQuery, planOnlineQuery } from './online-features.ts'
import { latestMs } from '../../events/envelope.ts'
import { parseBody, parseTimeMs } from '../http/parameters.ts'
import { problemResponse } from '../http/problem.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'

const time = z.union(
  [z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,14}$/), z.number().int().min(0).max(latestMs)],
  'write RFC 3339, such as 2026-01-31T12:00:00Z, or milliseconds',
)
/** The schemas of an entity's events decide which ids it accepts. */
const entityId = z.union([z.string(), z.number().int()])

/** Features of many entities. Clients of Feast call the same route as `/get-online-features`. */
export function onlineFeatureRoutes(deps: ServeDependencies, catalog: FeatureCatalog): Route[] {
  const schema = named('FeaturesRequest', bodySchema(deps, catalog))
  const route = (path: string, operationId: string, withFlags: boolean): Route => ({
    method: 'POST',
    path,
    access: 'key',
    timeoutMs: deps.limits.requestTimeoutMs,
    handle: (c) => readOnlineFeatures(c, deps, catalog, { schema, withFlags }),
    description: describeRoute({ schema, catalog }, operationId, withFlags),
  })
  return [route('/v1/features', 'readManyFeatures', true), route('/get-online-features', 'getOnlineFeatures', false)]
}

type BodySchema = ReturnType<typeof bodySchema>

/**
 * A name; the API description lists the valid ones. An unknown name gets the error code of its kind, not the schema's.
 */
function oneOf(names: Iterable<string>) {
  return z
    .string()
    .max(256)
    .meta({ enum: [...names] })
}

/** The schema accepts unknown members: Feast's clients send some that mean nothing here. */
function bodySchema({ limits, catalog: events, scoreForms }: ServeDependencies, catalog: FeatureCatalog) {
  const { featureNamesMax, featureRowsMax } = limits
  const names = [...catalog.entitiesByAlias.keys()]
  return z
    .object({
      feature_service: oneOf(catalog.services.keys()).optional(),
      features: z.array(oneOf(catalog.featuresByReference.keys())).min(1).max(featureNamesMax).optional(),
      entities: z
        .record(z.string().max(256), z.array(entityId).max(featureRowsMax))
        .meta({ minProperties: 1, propertyNames: { enum: names } })
        .describe(
          'ids by entity name (account) or key field (accountId); row n is made of the nth of each. A composite ' +
            'entity (account_device) is made of its key fields when all of them are given, or named itself by ids a-1|d-1',
        ),
      full_feature_names: z.boolean().default(false),
      asOf: time.optional().describe('windows end here, RFC 3339 or milliseconds; the wall clock when missing'),
      request: z
        .object({
          ...scoredFields([...scoreForms.keys()], events, featureRowsMax),
          time: perRow(time, featureRowsMax).optional(),
        })
        .optional()
        .describe(
          'fields of the event that derived features are about, and its time, one for all rows or a list with one per row; a ' +
            'derived feature is NULL_VALUE where it reads a field that is not given (null is given: the event does not have it)',
        ),
    })
    .meta({ oneOf: [{ required: ['feature_service'] }, { required: ['features'] }] })
}

/** The fields of the scored events, each with the schema of the event; all are optional. */
function scoredFields(types: readonly string[], events: EventCatalog, rowsMax: number): Record<string, z.ZodType> {
  const known = new Map<string, readonly [z.ZodType, ...z.ZodType[]]>()
  for (const type of types) {
    const event = events.get(type)
    const schema = event?.versions[event.currentVersion]?.schema
    if (event === undefined || schema === undefined) continue
    const data = accepting(schema, event.accepts)
    const shape: Readonly<Record<string, unknown>> = data instanceof z.ZodObject ? data.shape : {}
    for (const [field, rule] of Object.entries(shape)) {
      if (!(rule instanceof z.ZodType)) continue
      const before = known.get(field)
      known.set(field, before === undefined ? [rule.nullish()] : [...before, rule.nullish()])
    }
  }
  const fields = [...known].map(([field, [first, ...others]]): [string, z.ZodType] => {
    const rule = others.length === 0 ? first : z.union([first, ...others])
    return [field, perRow(rule, rowsMax).optional()]
  })
  return Object.fromEntries(fields)
}

async function readOnlineFeatures(
  c: ServeContext,
  deps: ServeDependencies,
  catalog: FeatureCatalog,
  { schema, withFlags }: { readonly schema: BodySchema; readonly withFlags: boolean },
): Promise<Response> {
  requireMediaType(c, ['application/json'])
  const body = parseBody(schema, parseJson(await readBody(c, deps.limits.bodyBytesMax)))
  const atMs = body.asOf === undefined ? deps.clock.nowMs() : parseTimeMs('asOf', body.asOf)
  const planned = planOnlineQuery(body, catalog, { atMs, request: requestOf(body.request, atMs) })
  if (planned.kind === 'refused') {
    return problemResponse(c, planned.code, planned.detail, { extra: { names: [...planned.names] } })
  }
  return jsonResponse(c, 200, await answerOnlineQuery(planned.query, deps.features, withFlags))
}

/** One request for all rows, or one per row; null without. Errors: `invalid_request` for lists of different lengths. */
function requestOf(request: z.infer<BodySchema>['request'], atMs: number): FeatureRequest[] | null {
  if (request === undefined) return null
  const { time: times = atMs, ...fields } = request
  const columns = Object.entries(fields)
  const lengths = new Set(
    [times, ...Object.values(fields)].flatMap((each) => (Array.isArray(each) ? [each.length] : [])),
  )
  if (lengths.size > 1) throw new RiverbankError('invalid_request', 'request: all lists must have the same length')
  const [rows = 1] = lengths
  return Array.from({ length: rows }, (_, row) => ({
    data: Object.fromEntries(columns.map(([field, values]) => [field, rowOf(values, row)])),
    timeMs: parseTimeMs('request.time', rowOf(times, row) ?? atMs),
  }))
}

function perRow<Schema extends z.ZodType>(schema: Schema, rowsMax: number) {
  return z.union([schema, z.array(schema).max(rowsMax)])
}

function rowOf<Value>(values: Value | readonly Value[], row: number): Value | undefined {
  return isList(values) ? values[row] : values
}

function isList<Value>(values: Value | readonly Value[]): values is readonly Value[] {
  return Array.isArray(values)
}

const result = z.object({
  values: z.array(z.union([z.string(), z.number(), z.null()])),
  statuses: z.array(z.enum(featureStatuses)),
  event_timestamps: z.array(z.iso.datetime()),
})
const flagged = result.extend({
  flags: z
    .array(z.enum(flagKinds).nullable())
    .optional()
    .describe('one per row: what to know about the value; not there when no row has any'),
})
const answerOf = (each: z.ZodType) =>
  z.object({ metadata: z.object({ feature_names: z.array(z.string()) }), results: z.array(each) })
const plainAnswer = named('OnlineFeatures', answerOf(result))
const flaggedAnswer = named('FlaggedOnlineFeatures', answerOf(flagged))

function describeRoute(
  { schema, catalog }: { readonly schema: BodySchema; readonly catalog: FeatureCatalog },
  operationId: string,
  withFlags: boolean,
): Route['description'] {
  const [entity = ''] = catalog.entities.keys()
  const feature = [...catalog.features.values()].find((each) => each.entity === entity)
  const asked = JSON.stringify({ features: [feature?.name ?? ''], entities: { [entity]: ['1', '2'] } })
  return {
    operationId,
    summary: 'Read features of many entities',
    detail:
      "The shape of Feast's online API: a feature service or a list of features (view:name, or full names), and lists " +
      'of ids. One result per entity key and feature, one value per row. event_timestamps is the newest observation of ' +
      'the entity; a derived feature has the newest of its row. Of an entity that nobody has seen the status is NOT_FOUND, ' +
      'and the value that of empty windows, which is what scoring would use, derived features included. ' +
      (withFlags
        ? 'A result with incomplete, truncated or saturated values says so in flags.'
        : 'Flags of values are left out, because clients of Feast may refuse what they do not know: ask /v1/features.'),
    tag: 'features',
    body: { 'application/json': schema },
    answers: {
      200: { description: 'The features', content: { 'application/json': withFlags ? flaggedAnswer : plainAnswer } },
    },
    problems: [
      'invalid_json',
      'invalid_request',
      'unknown_feature',
      'unknown_feature_service',
      'missing_entity',
      'invalid_entity_id',
      'feature_name_collision',
      'state_unavailable',
      ...refusalCodes,
    ],
    example:
      `curl -s '$base${operationId === 'getOnlineFeatures' ? '/get-online-features' : '/v1/features'}' -H 'content-type: application/json' ` +
      `-d '${asked}'`,
  }
}
