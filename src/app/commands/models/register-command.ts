import type { Config } from '../../installation/settings/config.ts'
import { definitions, modelLoader, type Definitions } from '../../installation/settings/definitions.ts'
import { withLakeQuery } from '../../installation/lake/lake-query.ts'
import { withModels } from './models-command.ts'
import { RiverbankError } from '../../../base/errors.ts'
import type { Explanations } from '../../../scoring/explain/explainer.ts'
import { modelName, parseModelName, type ModelReference } from '../../../scoring/rollout/generation.ts'
import { dayMs } from '../../../base/units.ts'
import { registerCovers } from '../../../edges/onnx/registration.ts'
import { sampleBackground, type SampledBackground } from '../../../lake/materialize/background.ts'
import { scoredOfService } from '../../../lake/tables/lake-schema.ts'

/** Enough to count a branch that one event in a thousand takes to within a tenth; a few megabytes. */
const rowsMax = 50_000
/** Fewer rows say too little about the branches that events take. */
const rowsMin = 1_000
const spanDays = 30

/**
 * `riverbank models register`: proves that a model may score, and, if its trees have no covers, counts them over scored
 * events of the lake, so that the model gives reasons. 0 when it can be promoted with reasons, 1 without. Errors:
 * `invalid_model`, `model_refused`, `model_in_use`, `lake_empty`.
 */
export async function registerModel(config: Config, name: string, json: boolean): Promise<number> {
  const model = parseModelName(name)
  if (model === null || model.policy !== undefined) {
    throw new RiverbankError('invalid_model', `"${name}" is no <name>/<version>`)
  }
  const compiled = definitions(config)
  const scorer = await modelLoader(config.MODELS_DIR, compiled)(model)
  await scorer.close()
  const before = scorer.explanations
  const isCounted = before?.kind === 'unavailable' && before.code === 'no_covers'
  const background = isCounted ? await backgroundOf(config, compiled, scorer.service, model) : null
  const after =
    background === null ? before : await registerCovers({ modelsDir: config.MODELS_DIR, ...model }, background)
  const reasons = after === undefined ? 'none' : reasonsOf(after)
  const report = { model: modelName(model), reasons, ...(background === null ? {} : { events: background.rows }) }
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${told(report)}\n`)
  return after?.kind === 'available' ? 0 : 1
}

function told({ model, reasons, events }: { model: string; reasons: string; events?: number }): string {
  const counted = events === undefined ? '' : `, with covers counted over ${events} events`
  return `${model} passed every check${counted}; reasons: ${reasons}`
}

function reasonsOf(explanations: Explanations): string {
  if (explanations.kind === 'unavailable') return `none (${explanations.code}: ${explanations.reason})`
  const { method, unit } = explanations.explainer
  return `${method}, of the ${unit === 'log_odds' ? 'log odds' : 'probability'}`
}

async function backgroundOf(
  config: Config,
  compiled: Definitions,
  service: string,
  model: ModelReference,
): Promise<SampledBackground> {
  await checkUnused(config, model)
  const features = compiled.manifest.services.find(({ name }) => name === service)?.features ?? []
  const scored = scoredOfService(compiled.lakeSchema, service)
  const options = { schema: compiled.lakeSchema, scored, features, rowsMax, spanMs: spanDays * dayMs }
  const found = await withLakeQuery(config, compiled, (query) => sampleBackground(query, options))
  if (found !== null && found.rows >= rowsMin) return found
  const here = `the lake has ${found?.rows ?? 0} events, scored in its last ${spanDays} days, with every feature of ${service}`
  throw new RiverbankError('lake_empty', `${here}: covers are counted over ${rowsMin} at least`)
}

/** Reasons are part of decisions: a model that has scored already keeps its reasons as they are. */
async function checkUnused(config: Config, { name, version }: ModelReference): Promise<void> {
  const { generations } = await withModels(config, (models) => models.report(Infinity))
  const used = generations.find(({ champion, shadows }) =>
    [champion, ...shadows].some((one) => one.split('@')[0] === `${name}/${version}`),
  )
  if (used === undefined) return
  const why = `${name}/${version} is in generation ${used.generation} already`
  throw new RiverbankError('model_in_use', `${why}, and a version never changes: register a copy as another version`)
}
