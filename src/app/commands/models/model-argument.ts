import { RiverbankError } from '../../../base/errors.ts'
import { parseModelName, type ModelReference } from '../../../scoring/rollout/generation.ts'
import { registeredRollout } from '../../../edges/onnx/load.ts'
import { servicePlan } from '../../../scoring/service.ts'
import type { Config } from '../../installation/settings/config.ts'
import { modelLoader, type Definitions } from '../../installation/settings/definitions.ts'
import { scoringModel, withLakeQuery, type LakeQueryOptions } from '../../installation/lake/lake-query.ts'
import type { ScoredColumns } from '../../../lake/tables/lake-schema.ts'

/**
 * `name/version`; without it the model that scored the newest events of the lake, or the registry's champion. Errors:
 * `invalid_model` (also with several scored types and none named), `model_refused`.
 */
export async function modelReference(
  config: Pick<Config, 'MODELS_DIR' | 'DATA_DIR'>,
  compiled: Pick<Definitions, 'lakeSchema'>,
  given: string | undefined,
): Promise<ModelReference> {
  if (given === undefined) {
    const [only, ...others] = compiled.lakeSchema.scored
    if (only !== undefined && others.length === 0) return modelInUse(config, compiled, only)
    const words = compiled.lakeSchema.scored.map(({ plural }) => plural).join(' and ')
    throw new RiverbankError('invalid_model', `${words} are scored, each by models of their own: name one with --model`)
  }
  const parsed = parseModelName(given)
  if (parsed === null) throw new RiverbankError('invalid_model', `"${given}" is no <name>/<version>`)
  return parsed
}

/** The model that scored the newest events of a type, or the registry's champion. Errors: `model_refused`. */
export async function modelInUse(
  config: Pick<Config, 'MODELS_DIR' | 'DATA_DIR'>,
  compiled: Pick<Definitions, 'lakeSchema'>,
  scored: ScoredColumns,
  limits: LakeQueryOptions = {},
): Promise<ModelReference> {
  const { lakeSchema } = compiled
  const found = await withLakeQuery(config, compiled, (query) => scoringModel(query, lakeSchema, scored), limits)
  return found ?? (await registeredRollout(config.MODELS_DIR, scored.form.eventType)).champion
}

/**
 * Loads a model with all checks, with the plan of its service and, if one is named, its policy.
 */
export async function openModel(
  config: Pick<Config, 'MODELS_DIR' | 'DATA_DIR'>,
  compiled: Definitions,
  given: string | undefined,
) {
  const reference = await modelReference(config, compiled, given)
  const scorer = await modelLoader(config.MODELS_DIR, compiled)(reference)
  const service = servicePlan(compiled.plan, scorer.service)
  return { scorer, service }
}
