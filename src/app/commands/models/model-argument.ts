import { RiverbankError } from '../../../base/errors.ts'
import { parseModelName, type ModelReference } from '../../../scoring/rollout/generation.ts'
import { registeredLineup } from '../../../edges/onnx/load.ts'
import { servicePlan } from '../../../scoring/service.ts'
import type { Config } from '../../installation/settings/config.ts'
import { modelLoader, type Definitions } from '../../installation/settings/definitions.ts'
import { scoringModel, withLakeQuery, type LakeQueryOptions } from '../../installation/lake/lake-query.ts'

/**
 * `name/version`; when nothing was given the model that scored the newest events of the lake, or what an installation
 * begins with. Errors: `invalid_model`, `model_refused`.
 */
export async function modelReference(
  config: Pick<Config, 'MODELS_DIR' | 'DATA_DIR'>,
  compiled: Pick<Definitions, 'lakeSchema' | 'manifest'>,
  given: string | undefined,
  limits: LakeQueryOptions = {},
): Promise<ModelReference> {
  if (given === undefined) {
    const scoring = await withLakeQuery(config, compiled, scoringModel, limits)
    if (scoring !== null) return scoring
    const [first = ''] = compiled.manifest.services.map(({ eventType }) => eventType)
    return (await registeredLineup(config.MODELS_DIR, first)).champion
  }
  const parsed = parseModelName(given)
  if (parsed === null) throw new RiverbankError('invalid_model', `"${given}" is no <name>/<version>`)
  return parsed
}

/**
 * Loads a model with all checks, and its policy where one is named; with the plan of its service.
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
