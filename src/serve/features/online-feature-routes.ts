import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import { RiverbankError } from '../../base/errors.ts'
import { refusalCodes } from '../../engine/standing.ts'
import { flagKinds } from '../../engine/state/flags.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
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
/** Which ones an entity takes, its events say. */
const entityId = z.union([z.string(), z.number().int()])

/** Features of many entities. `/get-online-features` is the same for clients of Feast. */
export function onlineFeatureRoutes(deps: ServeDependencies, catalog: FeatureCatalog): Route[] {
  const schema = named('FeaturesRequest', bodySchema(deps, catalog))
  const route = (path: string, operationId: string, withFlags: boolean): Route => ({
    method: 'POST',
    path,
    access: 'key',
    timeoutMs: deps.limits.requestTimeoutMs,
    handle: (c) => readOnlineFeatures(c, deps, catalog, { schema, withFlags }),
    description: describeRoute(schema, operationId, withFlags),
  })
  return [route('/v1/features', 'readManyFeatures', true), route('/get-online-features', 'getOnlineFeatures', false)]
}

type BodySchema = ReturnType<typeof bodySchema>

/** A name, of which the API description lists those there are; another one is told by the code of its kind. */
function oneOf(names: Iterable<string>) {
  return z
    .string()
    .max(256)
    .meta({ enum: [...names] })
}

/** Unknown members are left alone: Feast's clients send some that mean nothing here. */
function bodySchema({ limits, catalog: events, scoredTypes }: ServeDependencies, catalog: FeatureCatalog) {
  const { featureNamesMax, featureRowsMax } = limits
  const accepted = [...scoredTypes].flatMap((type) => events.get(type)?.accepts['currency'] ?? [])
  const currency = accepted.length === 0 ? z.string().max(256) : z.enum(accepted, `accepted is ${accepted.join(', ')}`)
  const names = [...catalog.entitiesByAlias.keys()]
  return z
    .object({
      feature_service: oneOf(catalog.services.keys()).optional(),
      features: z.array(oneOf(catalog.featuresByReference.keys())).min(1).max(featureNamesMax).optional(),
      entities: z
        .record(z.string().max(256), z.array(entityId).max(featureRowsMax))
        .meta({ minProperties: 1, propertyNames: { enum: names } })
        .describe(
          'ids by entity name (customer) or key field (customerId); row n is made of the nth of each. A composite ' +
            'entity (customer_terminal) is made of its key fields when all of them are given, or named itself by ids c-1|t-1',
        ),
      full_feature_names: z.boolean().default(false),
      asOf: time.optional().describe('windows end here, RFC 3339 or milliseconds; the wall clock when missing'),
      request: z
        .object({
          amountMinor: perRow(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER), featureRowsMax),
          currency: perRow(currency, featureRowsMax).optional(),
          time: perRow(time, featureRowsMax).optional(),
        })
        .optional()
        .describe(
          'the payment that derived features are about, one for all rows or a list with one per row; without it those that read it are NULL_VALUE',
        ),
    })
    .meta({ oneOf: [{ required: ['feature_service'] }, { required: ['features'] }] })
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

/** Null without; else one for all rows, or one per row. Errors: `invalid_request` for lists of different lengths. */
function requestOf(request: z.infer<BodySchema>['request'], atMs: number): FeatureRequest[] | null {
  if (request === undefined) return null
  const { amountMinor, currency = null, time: times = atMs } = request
  const lengths = new Set([amountMinor, currency, times].flatMap((each) => (Array.isArray(each) ? [each.length] : [])))
  if (lengths.size > 1) throw new RiverbankError('invalid_request', 'request: all lists must have the same length')
  const [rows = 1] = lengths
  return Array.from({ length: rows }, (_, row) => ({
    amountMinor: rowOf(amountMinor, row) ?? NaN,
    currency: rowOf(currency, row) ?? null,
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

function describeRoute(schema: BodySchema, operationId: string, withFlags: boolean): Route['description'] {
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
      `-d '{"features":["customer_spend:amount_sum_7d"],"entities":{"customer":["c-1","c-2"]}}'`,
  }
}
