import { RiverbankError } from '../core/errors.ts'
import { loadScorer, readRegistry } from '../edges/onnx/load.ts'
import type { OnnxScorer } from '../edges/onnx/scorer.ts'
import type { Config } from './config.ts'
import { serviceOf, type Definitions } from './definitions.ts'

/** `name/version`, or the registry's champion when nothing was given. Errors: `invalid_argument`, `model_refused`. */
export async function modelReference(
  { MODELS_DIR }: Pick<Config, 'MODELS_DIR'>,
  given: string | undefined,
): Promise<{ readonly name: string; readonly version: string }> {
  if (given === undefined) return (await readRegistry(MODELS_DIR)).champion
  const [name, version, ...rest] = given.split('/')
  if (name === undefined || version === undefined || rest.length > 0 || name === '' || version === '') {
    throw new RiverbankError('invalid_argument', `"${given}" is no model: name it as name/version`)
  }
  return { name, version }
}

/** Loads a model with all checks, with the names of its service's values and where its inputs are among them. */
export async function openModel(config: Pick<Config, 'MODELS_DIR'>, compiled: Definitions, given: string | undefined) {
  const reference = await modelReference(config, given)
  const scorer: OnnxScorer = await loadScorer({
    modelsDir: config.MODELS_DIR,
    services: compiled.manifest.services,
    ...reference,
  })
  const { names, vector } = serviceOf(compiled, scorer)
  return { scorer, names, vector }
}
