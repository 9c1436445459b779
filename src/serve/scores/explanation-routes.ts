import { z } from 'zod'
import { decisions, scoreSchema } from '../../scoring/output-events.ts'
import type { FoundScore } from './score-entry.ts'
import { RiverbankError } from '../../base/errors.ts'
import { scoreOf, type Explainer } from '../../scoring/explain/explainer.ts'
import { contributionMethods, contributionUnits } from '../../scoring/explain/score-explainer.ts'
import { createReasonWriter, reasonSchema } from '../../scoring/explain/reason.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'
import { identityDetail, pendingSchema, scoreParameters, scoreProblems, withScore } from './score-routes.ts'
import { doubleAt, numberAt } from '../../base/arrays.ts'

/** Scores are float32; a model whose score differs by more is not the one that scored. */
const differenceMax = 1e-4

const explanationSchema = named(
  'Explanation',
  z.object({
    eventId: z.string(),
    aggregateId: z.string(),
    score: z.number(),
    decision: z.enum(decisions),
    model: scoreSchema.shape.model,
    policy: scoreSchema.shape.policy,
    unit: z
      .enum(contributionUnits)
      .describe(
        'of base and contributions: the log odds of what labels report, or its probability where the model adds up probabilities',
      ),
    method: z
      .enum(contributionMethods)
      .describe(
        'exact: SHAP values; propagated: SHAP values of the trees, stretched to the difference they make behind a calibration',
      ),
    base: z.number().describe('what the model answers before anything is known of the event, in the unit'),
    contributions: z
      .array(z.object({ feature: z.string(), value: z.number(), contribution: z.number() }))
      .describe("SHAP values of every element of the model's vector, the largest first, whatever their sign"),
    sum: z.number().describe('of all contributions'),
    logOdds: z.number().optional().describe('base + sum: the log odds of the score; left out in the other unit'),
    reasons: z.array(reasonSchema).describe('what pushed the score up, as subscribers get it'),
  }),
)
type Explanation = z.infer<typeof explanationSchema>

export function explanationRoutes(deps: ServeDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/scores/:eventId/explanation',
      access: 'key',
      timeoutMs: deps.limits.requestTimeoutMs,
      handle: (c) => explainScore(c, deps),
      description: {
        operationId: 'explainScore',
        summary: 'Explain the decision on one event',
        detail:
          'SHAP values, computed now from the features as they were and the model that scored them. They add up to the ' +
          'score, or to its log odds (unit). Models that are no tree ensembles, and trees without covers, answer ' +
          `explanation_unavailable. ${identityDetail}`,
        tag: 'scores',
        parameters: scoreParameters,
        answers: {
          200: { description: 'The explanation', content: { 'application/json': explanationSchema } },
          202: { description: 'Accepted, not scored yet', content: { 'application/json': pendingSchema } },
        },
        problems: [
          ...scoreProblems,
          ...(['model_not_found', 'explanation_unavailable', 'explanation_mismatch', 'model_refused'] as const),
        ],
        example: "curl -s '$base/v1/scores/e-1/explanation'",
      },
    },
  ]
}

function explainScore(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  return withScore(c, deps, (score) => explain(c, score, deps))
}

async function explain(c: ServeContext, score: FoundScore, deps: ServeDependencies): Promise<Response> {
  const { model } = score.data
  const explanations = await deps.explanations(model)
  if (explanations.kind === 'unavailable') {
    throw new RiverbankError('explanation_unavailable', `model ${model.name}/${model.version}: ${explanations.reason}`)
  }
  return jsonResponse(c, 200, explanationOf(score, explanations.explainer, deps))
}

function explanationOf(found: FoundScore, explainer: Explainer, { featureSet }: ServeDependencies): Explanation {
  const { aggregateId, eventId, data: score } = found
  const { decision, model, policy } = score
  const names = explainer.features
  const known = names.map((name) => {
    const value = Object.hasOwn(score.features, name) ? (score.features[name] ?? null) : null
    if (value !== null) return value
    const why = `the score was stored without ${name}, which its model takes`
    throw new RiverbankError('explanation_unavailable', why)
  })
  const contributions = explainer.contributions(Float32Array.from(known))
  const difference = Math.abs(scoreOf(explainer, contributions) - score.score)
  if (!(difference <= differenceMax)) {
    const here = `the model ${model.name}/${model.version} of this service`
    throw new RiverbankError('explanation_mismatch', `${here} gives another score, ${difference} from the stored one`)
  }
  const sum = contributions.reduce((total, one) => total + one, 0)
  const byName = names.map((feature, i) => ({
    ...{ feature, value: numberAt(known, i) },
    contribution: doubleAt(contributions, i),
  }))
  return {
    ...{ eventId, aggregateId, score: score.score, decision, model, ...(policy === undefined ? {} : { policy }) },
    ...{ unit: explainer.unit, method: explainer.method, base: explainer.base },
    contributions: byName.sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)),
    ...{ sum, ...(explainer.unit === 'log_odds' ? { logOdds: explainer.base + sum } : {}) },
    reasons: createReasonWriter(names, featureSet.features)({ contributions, values: known, stats: explainer.stats }),
  }
}
