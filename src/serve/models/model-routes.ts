import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { parseBody } from '../http/parameters.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'
import { modelPattern, parseModelName, type ModelChange, type ModelReference } from '../../scoring/rollout/generation.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import { unexplained } from '../../scoring/explain/explainer.ts'

const bodyBytesMax = 4_096
const listMax = 100

const reason = z.string().max(400).default('').describe('kept with the generation, for whoever asks why')
/** The bodies of changes. Their schemas list the scored types. */
function bodiesOf({ scoreForms }: ServeDependencies) {
  const types = z.enum([...scoreForms.keys()])
  const scores = types
    .optional()
    .describe('type of the scored events; may be left out where one type is scored, or the model says it')
  const model = z
    .string()
    .regex(modelPattern, 'write <name>/<version>')
    .describe('<name>/<version>, or <name>/<version>@<policy>')
  return {
    changeOf: named('ModelChange', z.object({ model, reason, scores })),
    rollbackOf: named('ModelRollback', z.object({ reason, scores })),
  }
}

const changes = [
  ['promote', 'Let a model decide from now on', 'A shadow of that name is one no longer; the former champion is gone.'],
  ['shadow', 'Score with a model beside the champion', 'Its scores are logged and never acted on.'],
  ['retire', 'Stop a shadow', 'The champion cannot be retired: promote another one, or roll back.'],
] as const

/**
 * Shows and changes the models that score. A change is a generation; processors apply it within a second, by partition.
 */
export function modelRoutes(deps: ServeDependencies): Route[] {
  const common = { access: 'key', timeoutMs: deps.limits.requestTimeoutMs } as const
  const { changeOf, rollbackOf } = bodiesOf(deps)
  const list: Route = {
    ...common,
    method: 'GET',
    path: '/v1/models',
    handle: async (c) => jsonResponse(c, 200, await deps.models.report(listMax)),
    description: {
      operationId: 'listModels',
      summary: 'Which models score, since when, and what was refused',
      tag: 'models',
      answers: { 200: { description: 'Newest first', content: { 'application/json': reportSchema } } },
      problems: ['state_unavailable'],
      example: "curl -s '$base/v1/models'",
    },
  }
  return [
    list,
    ...changes.map(([kind, summary, detail]): Route => ({
      ...common,
      method: 'POST',
      path: `/v1/models/${kind}`,
      handle: async (c) => {
        const body = await bodyOf(c, changeOf)
        return changed(c, deps, { kind, model: modelOf(body.model) }, body)
      },
      description: {
        operationId: `${kind}Model`,
        summary,
        detail,
        tag: 'models',
        body: { 'application/json': changeOf },
        answers: accepted,
        problems: [...changeProblems],
        example: exampleOf(kind, '{"model": "<name>/<version>"}'),
      },
    })),
    {
      ...common,
      method: 'POST',
      path: '/v1/models/rollback',
      handle: async (c) => changed(c, deps, { kind: 'rollback' }, await bodyOf(c, rollbackOf)),
      description: {
        operationId: 'rollBackModels',
        summary: 'Go back to the models before the last change',
        detail: 'A new generation with the former models; another rollback goes back further.',
        tag: 'models',
        body: { 'application/json': rollbackOf },
        answers: accepted,
        problems: [...changeProblems],
        example: exampleOf('rollback', '{"reason": "too many alerts"}'),
      },
    },
  ]
}

const changeProblems = [
  'invalid_request',
  'scored_type_unknown',
  'model_is_champion',
  'model_is_shadow',
  'shadow_with_policy',
  'model_not_serving',
  'too_many_shadows',
  'no_former_generation',
  'generations_contended',
  'state_unavailable',
] as const

function exampleOf(path: string, body: string): string {
  return `curl -s '$base/v1/models/${path}' -H 'content-type: application/json' -d '${body}'`
}

async function bodyOf<Schema extends z.ZodType>(c: ServeContext, schema: Schema): Promise<z.infer<Schema>> {
  requireMediaType(c, ['application/json'])
  return parseBody(schema, parseJson(await readBody(c, bodyBytesMax)))
}

function modelOf(text: string): ModelReference {
  const model = parseModelName(text)
  if (model === null) throw new RiverbankError('invalid_request', 'model: write <name>/<version>')
  return model
}

async function changed(
  c: ServeContext,
  deps: ServeDependencies,
  change: ModelChange,
  { reason: why, scores: eventType = null }: { readonly reason: string; readonly scores?: string | null | undefined },
): Promise<Response> {
  const report = await deps.models.change(change, why, eventType)
  const { scores: scored, generation, champion, shadows, reason: kept, time, restores } = report
  deps.logger.info('the models were changed', { scores: scored, generation, champion, shadows })
  const silent = change.kind === 'promote' ? await unexplainedOf(deps, change.model) : null
  return jsonResponse(c, 202, {
    ...(silent === null ? {} : { reasonsUnavailable: silent }),
    ...{ scores: scored, generation, champion, shadows, reason: kept, time, restores },
  })
}

/** Null also if this process cannot read the model: then the processors accept or refuse it. */
async function unexplainedOf({ explanations }: ServeDependencies, { name, version }: ModelReference) {
  try {
    const found = await explanations({ name, version })
    return found.kind === 'available' ? null : { code: found.code, detail: found.reason }
  } catch (error) {
    if (isRiverbankError(error)) return null
    throw error
  }
}

const generationFields = {
  scores: z.string().describe('type of the events that they score; each has numbers of its own'),
  generation: z.number().int(),
  champion: z.string(),
  shadows: z.array(z.string()),
  reason: z.string(),
  time: z.string(),
  restores: z.number().int().nullable().describe('of a rollback: whose models these are'),
}

const generationSchema = named(
  'Generation',
  z.object({
    ...generationFields,
    reasonsUnavailable: z
      .object({ code: z.enum(unexplained), detail: z.string() })
      .optional()
      .describe('of a promotion: why decisions of this model come without reasons'),
  }),
)

const accepted = {
  202: {
    description: 'The new generation; GET /v1/models tells where it has taken effect',
    content: { 'application/json': generationSchema },
  },
} as const

const reportSchema = named(
  'ModelsReport',
  z.object({
    partitions: z.number().int(),
    generations: z.array(
      z.object({
        ...generationFields,
        activations: z
          .array(z.object({ partition: z.number().int(), offset: z.number().int() }))
          .describe('from this offset of the partition on'),
        live: z.number().int().describe('partitions that it scores now'),
        refusal: z.object({ code: z.string(), detail: z.string(), time: z.string() }).nullable(),
      }),
    ),
  }),
)
