import { flagKinds } from '../../engine/flags.ts'
import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import { RiverbankError } from '../../base/errors.ts'
import { refusalCodes } from '../../engine/states-status.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import type { FeatureCatalog } from './feature-catalog.ts'
import type { FeatureRequest } from './feature-reader.ts'
import { featureStatuses } from './freshness.ts'
import { onlineAnswerText } from './online-answer.ts'
import { bodyReader, type BodyReader, type ParsedBody } from './online-body.ts'
import { onlinePlanner, type OnlinePlanner } from './online-features.ts'
import { parseTimeMs } from '../http/parameters.ts'
import { problemResponse } from '../http/problem.ts'
import { textResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'

/** Features of many entities. Clients of Feast call the same route as `/get-online-features`. */
export function onlineFeatureRoutes(deps: ServeDependencies, catalog: FeatureCatalog): Route[] {
  const body = bodyReader(deps, catalog)
  const plan = onlinePlanner(catalog)
  const route = (path: string, operationId: string, withFlags: boolean): Route => ({
    method: 'POST',
    path,
    access: 'key',
    timeoutMs: deps.limits.requestTimeoutMs,
    handle: (c) => readOnlineFeatures(c, deps, { body, plan, withFlags }),
    description: describeRoute({ schema: body.schema, catalog }, operationId, withFlags),
  })
  return [route('/v1/features', 'readManyFeatures', true), route('/get-online-features', 'getOnlineFeatures', false)]
}

interface Reading {
  readonly body: BodyReader
  readonly plan: OnlinePlanner
  readonly withFlags: boolean
}

async function readOnlineFeatures(
  c: ServeContext,
  deps: ServeDependencies,
  { body: reader, plan, withFlags }: Reading,
): Promise<Response> {
  requireMediaType(c, ['application/json'])
  const body = reader.read(parseJson(await readBody(c, deps.limits.bodyBytesMax)))
  const atMs = body.asOf === undefined ? deps.clock.nowMs() : parseTimeMs('asOf', body.asOf)
  const planned = plan(body, { atMs, request: requestOf(body.request, atMs) })
  if (planned.kind === 'refused') {
    return problemResponse(c, planned.code, planned.detail, { extra: { names: [...planned.names] } })
  }
  return textResponse(c, 200, 'application/json', await onlineAnswerText(planned.query, deps.features, withFlags))
}

/** One request for all rows, or one per row; null without. Errors: `invalid_request` for lists of different lengths. */
function requestOf(request: ParsedBody['request'], atMs: number): FeatureRequest[] | null {
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
  { schema, catalog }: { readonly schema: z.ZodType; readonly catalog: FeatureCatalog },
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
