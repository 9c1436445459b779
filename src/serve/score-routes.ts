import { paymentScoredSchema, type PaymentScored } from '../core/emitted.ts'
import { RiverbankError } from '../core/errors.ts'
import type { ServeDependencies } from './dependencies.ts'
import { invalid } from './parameters.ts'
import { jsonResponse, type Route, type ServeContext } from './route.ts'

const idLengthMax = 256

export function scoreRoutes(deps: ServeDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/scores/:paymentId',
      access: 'key',
      timeoutMs: deps.limits.requestTimeoutMs,
      handle: (c) => readScore(c, deps),
      description: {
        operationId: 'readScore',
        summary: 'Read the decision on one payment',
        detail: 'From memory when it is recent, else from the lake, which follows a few seconds behind.',
        tag: 'scores',
        parameters: [{ name: 'paymentId', in: 'path', description: 'eventId of the payment', schema: paymentIdSchema }],
        answers: {
          200: {
            description: 'The score and all it was made of',
            content: { 'application/json': paymentScoredSchema },
          },
        },
        problems: ['score_not_found', 'sql_busy', 'sql_timeout', 'unavailable'],
        example: "curl -s '$base/v1/scores/p-1'",
      },
    },
  ]
}

export const paymentIdSchema = paymentScoredSchema.shape.paymentId

async function readScore(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  return jsonResponse(c, 200, await findScore(c, deps))
}

/** The score that the path names. Errors: `score_not_found`, and those of the lake. */
export async function findScore(c: ServeContext, deps: ServeDependencies): Promise<PaymentScored> {
  const paymentId = c.req.param('paymentId') ?? ''
  if (paymentId.length > idLengthMax) throw invalid('paymentId', `at most ${idLengthMax} characters`)
  const score = deps.hub.find(paymentId) ?? (await deps.scores.findScore(paymentId))
  if (score === null) throw new RiverbankError('score_not_found', `no score of payment ${paymentId}`)
  return score
}
