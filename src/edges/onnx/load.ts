import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { z } from 'zod'
import type { Explanations } from '../../scoring/explain/explainer.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { ServiceManifest } from '../../engine/feature-set.ts'
import { modelFolder, type Rollout, type ModelReference } from '../../scoring/rollout/generation.ts'
import { compilePolicy, parsePolicy, type Decider, type PolicyScope } from '../../scoring/policy.ts'
import { adaptModel, type Adaptation } from './adaptation.ts'
import { readCovers } from './covers.ts'
import { explanationsOf, type ForestCovers } from './explanations.ts'
import { hasExternalData } from './external-data.ts'
import { checkedName, modelLimits, parseJson, readLimited } from './files.ts'
import { checkGolden } from './golden.ts'
import { type ModelManifest, modelManifestSchema, type ModelRegistry, modelRegistrySchema } from './manifest.ts'
import { messageOf, ModelRefused } from './refusal.ts'
import { OnnxScorer, openSession } from './scorer.ts'

export interface LoadOptions {
  /** Folder with registry.json and `<name>/<version>/`. */
  readonly modelsDir: string
  /** The services that this process computes: a model takes one of them, and names it with its hash. */
  readonly services: readonly Pick<ServiceManifest, 'name' | 'hash' | 'features'>[]
}

/**
 * Loads a model and proves its identity: files, manifest, sha256, self-contained, a service of this process with the
 * same hash, thresholds, session, signature, golden vectors. Rejects with `model_refused` ({@link ModelRefused} names
 * the check). Checks that need no session come first, because sessions leak memory.
 */
export async function loadScorer(options: LoadOptions & ModelReference): Promise<OnnxScorer> {
  const { model, manifest, covers } = await readModel(options)
  checkService(manifest, options)
  const adaptation = adapted(model, manifest)
  const session = await openSession(adaptation.model).catch((error: unknown) => {
    throw new ModelRefused('session_failed', messageOf(error), error)
  })
  const explanations = explanationsOf(adaptation, manifest, covers)
  const scorer = new OnnxScorer({ session, manifest, explanations, ...adaptation })
  try {
    const isSame = await checkGolden(scorer, manifest)
    return isSame ? scorer : new OnnxScorer({ session, manifest, explanations, ...adaptation, rows: 'one by one' })
  } catch (error) {
    await scorer.close()
    throw error
  }
}

/**
 * Loads the explainer of a model, whatever service it takes: it opens no session, and the features may be those of an
 * older feature set. Rejects with `model_refused`.
 */
export async function loadExplanations(
  options: Pick<LoadOptions, 'modelsDir'> & ModelReference,
): Promise<Explanations> {
  const { model, manifest, covers } = await readModel(options)
  return explanationsOf(adapted(model, manifest), manifest, covers)
}

/** The content of a model's files. */
export interface ModelFiles {
  readonly model: Uint8Array
  readonly manifest: ModelManifest
  /** The covers counted at the model's registration; null if there are none. */
  readonly covers: ForestCovers | null
}

/**
 * Reads the files of a model and checks its names, every sha256, and that nothing is outside the file. Rejects with
 * `model_refused`.
 */
export async function readModel(options: Pick<LoadOptions, 'modelsDir'> & ModelReference): Promise<ModelFiles> {
  const folder = join(options.modelsDir, checkedName(options.name), checkedName(options.version))
  const manifestBytes = await readLimited(join(folder, 'manifest.json'), modelLimits.manifestBytesMax, 'file_missing')
  const model = await readLimited(join(folder, 'model.onnx'), modelLimits.modelBytesMax, 'file_missing')
  const manifest = parseJson(manifestBytes, modelManifestSchema, 'manifest_invalid')
  checkManifest(manifest, options)
  checkBytes(model, manifest)
  return { model, manifest, covers: await readCovers(folder, manifest) }
}

/** Throws `model_refused`: `signature_mismatch`, or `session_failed` for bytes that are no ONNX. */
export function adapted(model: Uint8Array, manifest: ModelManifest): Adaptation {
  try {
    return adaptModel(model, manifest)
  } catch (error) {
    if (isRiverbankError(error)) throw error
    throw new ModelRefused('session_failed', `model.onnx is no ONNX file: ${messageOf(error)}`, error)
  }
}

/** `models/registry.json`. Rejects with `model_refused`: `registry_missing` or `registry_invalid`. */
export async function readRegistry(modelsDir: string): Promise<ModelRegistry> {
  const path = join(modelsDir, 'registry.json')
  const bytes = await readLimited(path, modelLimits.registryBytesMax, 'registry_missing')
  return parseJson(bytes, modelRegistrySchema, 'registry_invalid')
}

/** Lists every model of the folder, loadable or not, by name. */
export async function listModels(modelsDir: string): Promise<ModelReference[]> {
  const paths = await readdir(modelsDir, { recursive: true }).catch(() => [])
  return paths.toSorted().flatMap((path) => {
    const [name, version, file] = path.split(sep)
    const parsed = modelFolder.safeParse({ name, version })
    return file === 'manifest.json' && parsed.success ? [parsed.data] : []
  })
}

/**
 * The rollout of a type with which a list of generations begins. Rejects with `model_refused`, as {@link readRegistry}.
 */
export async function registeredRollout(modelsDir: string, eventType: string): Promise<Rollout> {
  const registry = await readRegistry(modelsDir)
  const found = Object.hasOwn(registry, eventType) ? registry[eventType] : undefined
  if (found === undefined) throw new ModelRefused('registry_invalid', `names no champion for ${eventType}`)
  return found
}

/** Loads the model that the registry names as champion of a type: see {@link loadScorer}. */
export async function loadChampion(options: LoadOptions & { readonly eventType: string }): Promise<OnnxScorer> {
  const { champion } = await registeredRollout(options.modelsDir, options.eventType)
  return loadScorer({ ...options, ...champion })
}

/**
 * Loads `policies/<policy>.json` beside a model, for its service. Rejects with `model_refused`:
 * `policy_missing` or `policy_invalid`.
 */
export async function loadPolicy(
  modelsDir: string,
  { name, version, policy: asked }: ModelReference & { readonly policy: string },
  service: PolicyScope,
): Promise<Decider> {
  const folder = join(modelsDir, checkedName(name), checkedName(version), 'policies')
  const bytes = await readLimited(
    join(folder, `${checkedName(asked)}.json`),
    modelLimits.policyBytesMax,
    'policy_missing',
  )
  try {
    const policy = parsePolicy(parseJson(bytes, z.unknown(), 'policy_invalid'))
    if (policy.version !== asked) {
      throw new RiverbankError('policy_invalid', `is version ${policy.version}, in the file of ${asked}`)
    }
    return compilePolicy(policy, service)
  } catch (error) {
    if (isRiverbankError(error, 'policy_invalid')) throw new ModelRefused('policy_invalid', error.message, error)
    throw error
  }
}

function checkManifest(manifest: ModelManifest, reference: ModelReference): void {
  if (manifest.name !== reference.name || manifest.version !== reference.version) {
    const found = `${manifest.name}/${manifest.version}`
    throw new ModelRefused(
      'manifest_invalid',
      `is of ${found}, in the folder of ${reference.name}/${reference.version}`,
    )
  }
}

function checkBytes(model: Uint8Array, manifest: ModelManifest): void {
  const hash = createHash('sha256').update(model).digest('hex')
  if (hash !== manifest.sha256) {
    throw new ModelRefused('hash_mismatch', `model.onnx is ${hash}, the manifest says ${manifest.sha256}`)
  }
  let external: boolean
  try {
    external = hasExternalData(model)
  } catch (error) {
    throw new ModelRefused('session_failed', `model.onnx is no ONNX file: ${messageOf(error)}`, error)
  }
  if (external) throw new ModelRefused('external_data', 'a tensor is stored outside model.onnx')
}

function checkService(manifest: ModelManifest, options: LoadOptions): void {
  const service = options.services.find(({ name }) => name === manifest.service)
  if (service?.hash !== manifest.featureSet) {
    const here = service === undefined ? 'is not here' : `is ${service.hash} here`
    const both = `trained on ${manifest.service} of ${manifest.featureSet}, which ${here}`
    throw new ModelRefused('feature_set_mismatch', `${both}: train a model on this one, or run the code of that one`)
  }
  const at = differsAt(manifest.features, service.features)
  if (at !== null) {
    const [wanted, got] = [manifest.features[at] ?? 'nothing', service.features[at] ?? 'nothing']
    throw new ModelRefused('features_mismatch', `element ${at} is ${wanted} in the model and ${got} in the service`)
  }
  const { review, block } = manifest.thresholds
  if (!(review > 0 && review <= block && block <= 1)) {
    throw new ModelRefused('thresholds_invalid', `review ${review}, block ${block}: 0 < review ≤ block ≤ 1 is right`)
  }
}

function differsAt(left: readonly string[], right: readonly string[]): number | null {
  const length = Math.max(left.length, right.length)
  for (let index = 0; index < length; index += 1) if (left[index] !== right[index]) return index
  return null
}
