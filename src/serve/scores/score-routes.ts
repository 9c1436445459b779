import { z } from 'zod'
import { eventIdSchema, idSchema } from '../../events/envelope.ts'
import type { FoundScore } from './score-entry.ts'
import { unreachable } from '../../base/errors.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { invalid } from '../http/parameters.ts'
import { problemResponse } from '../http/problem.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named, scoreSchemas } from '../http/schemas.ts'
import { findScore, findScoreById, scorePath, type ScoreAnswer } from './score-lookup.ts'
import { isStreamRequest, streamScores } from './stream-routes.ts'

/** Seconds after which a pending score may be there. */
const pendingRetryS = 1

export function scoreRoutes(deps: ServeDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/scores/:eventId',
      access: 'key',
      timeoutMs: deps.limits.requestTimeoutMs,
      handle: (c) => readScore(c, deps),
      description: {
        operationId: 'readScore',
        summary: 'Read the decision on one event',
        detail:
          'The newest scores are read from memory and disk of this process, older ones from the lake. 202: the log has the ' +
          `event, and nobody has scored it yet; ask again. ${identityDetail}`,
        tag: 'scores',
        parameters: scoreParameters,
        answers: {
          200: {
            description: 'The score and all it was made of',
            content: { 'application/json': scoreSchemas(deps.scoreForms).score },
          },
          202: { description: 'Accepted, not scored yet', content: { 'application/json': pendingSchema } },
        },
        problems: scoreProblems,
        example: "curl -s '$base/v1/scores/e-1'",
      },
    },
  ]
}

export const pendingSchema = named(
  'Pending',
  z.object({
    eventId: z.string(),
    aggregateId: z.string(),
    status: z.literal('pending'),
  }),
)

export const identityDetail =
  'An event id names one fact of its aggregate, whose id is the key of the log. Where several aggregates have used it, the answer is 409 ' +
  'ambiguous_event_id with aggregateIds, and ?aggregateId= says which one is meant. Ids are percent-encoded in paths, also ' +
  '`/` (%2F); a proxy that decodes them before it forwards breaks those.'

export const scoreParameters = [
  { name: 'eventId', in: 'path', description: 'id of the scored event, percent-encoded', schema: eventIdSchema },
  { name: 'aggregateId', in: 'query', description: 'whose event it is', schema: idSchema.optional() },
] as const

export const scoreProblems = [
  ...(['score_not_found', 'ambiguous_event_id', 'invalid_parameter', 'lookup_busy', 'unavailable'] as const),
]

async function readScore(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  // An older path of the streams; a client that asks for a stream asks for no score.
  if (c.req.param('eventId') === 'stream' && isStreamRequest(c)) return streamScores(c, deps)
  return withScore(c, deps, (score) => jsonResponse(c, 200, score.data))
}

/**
 * Answers with the score that the path names, or says why there is none. Errors: `invalid_parameter`, those of the
 * lake.
 */
export async function withScore(
  c: ServeContext,
  deps: ServeDependencies,
  answer: (score: FoundScore) => Response | Promise<Response>,
): Promise<Response> {
  const eventId = readId('eventId', c.req.param('eventId') ?? '', eventIdSchema)
  const given = c.req.query('aggregateId')
  const aggregateId = given === undefined ? null : readId('aggregateId', given, idSchema)
  const found =
    aggregateId === null ? await findScoreById(eventId, deps) : await findScore({ aggregateId, eventId }, deps)
  return found.kind === 'found' ? answer(found.score) : withoutScore(c, eventId, found)
}

function withoutScore(c: ServeContext, eventId: string, found: Exclude<ScoreAnswer, { kind: 'found' }>): Response {
  switch (found.kind) {
    case 'pending':
      return pendingResponse(c, 202, { eventId, aggregateId: found.aggregateId, status: 'pending' })
    case 'ambiguous': {
      const detail = `several aggregates have used the event id ${eventId}: say which one by ?aggregateId=`
      return problemResponse(c, 'ambiguous_event_id', detail, { extra: { aggregateIds: found.aggregateIds } })
    }
    case 'unscored':
      return problemResponse(c, 'score_not_found', `event ${eventId} has no score: its dead letter says why`)
    case 'unknown':
      return problemResponse(c, 'score_not_found', `no score of event ${eventId}`)
    default:
      return unreachable(found)
  }
}

function pendingResponse(c: ServeContext, status: number, body: z.infer<typeof pendingSchema>): Response {
  const response = jsonResponse(c, status, body)
  markPending(response, body)
  return response
}

/** Sets the headers that say where the score will be, and when to look. */
export function markPending(
  response: Response,
  identity: { readonly aggregateId: string; readonly eventId: string },
): void {
  response.headers.set('location', scorePath(identity))
  response.headers.set('retry-after', String(pendingRetryS))
}

function readId(name: string, text: string, schema: z.ZodType): string {
  const parsed = schema.safeParse(text)
  if (!parsed.success) throw invalid(name, parsed.error.issues[0]?.message ?? 'is no id')
  return text
}
