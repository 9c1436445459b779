import { createHash } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { z } from 'zod'
import type { Explanations } from '../../core/explainer.ts'
import { isRiverbankError, RiverbankError } from '../../core/errors.ts'
import type { ServiceManifest } from '../../core/feature-set.ts'
import { modelFolder, type ModelReference } from '../../core/generation.ts'
import { compilePolicy, parsePolicy, type Decider } from '../../core/policy.ts'
import { explanationsOf } from './explanations.ts'
import { hasExternalData } from './external-data.ts'
import { type ModelManifest, modelManifestSchema, type ModelRegistry, modelRegistrySchema } from './manifest.ts'
import { ModelRefused, type RefusalReason } from './refusal.ts'
import { OnnxScorer, openSession } from './scorer.ts'

/** A model is code that decides about money: files larger than these are no model of ours. */
export const modelLimits = {
  modelBytesMax: 64 * 1024 * 1024,
  manifestBytesMax: 4 * 1024 * 1024,
  registryBytesMax: 64 * 1024,
  /** Lists of a hundred thousand customers. */
  policyBytesMax: 4 * 1024 * 1024,
} as const

export interface LoadOptions {
  /** Folder with registry.json and `<name>/<version>/`. */
  readonly modelsDir: string
  /** What this process computes: a model takes one of them, and names it with its hash. */
  readonly services: readonly Pick<ServiceManifest, 'name' | 'hash' | 'features'>[]
}

/**
 * Loads a model and proves that it is the one it says it is: files, manifest, sha256, self-contained, a service
 * of this process that means the same, thresholds, session, signature, golden vectors. Rejects with `model_refused`
 * ({@link ModelRefused} says at which check). Checks that need no session come first, because sessions leak memory.
 */
export async function loadScorer(options: LoadOptions & ModelReference): Promise<OnnxScorer> {
  const { model, manifest } = await readModel(options)
  checkService(manifest, options)
  const session = await openSession(model).catch((error: unknown) => {
    throw new ModelRefused('session_failed', messageOf(error), error)
  })
  const scorer = new OnnxScorer(session, manifest, explanationsOf(model, manifest))
  try {
    checkSignature(session, manifest)
    const isSame = await checkGolden(scorer, manifest)
    return isSame ? scorer : new OnnxScorer(session, manifest, scorer.explanations, 'one by one')
  } catch (error) {
    await scorer.close()
    throw error
  }
}

/**
 * What can be said of a model's scores, whatever service it takes: no session is opened, and the features may be those
 * of an older feature set. Rejects with `model_refused`.
 */
export async function loadExplanations(
  options: Pick<LoadOptions, 'modelsDir'> & ModelReference,
): Promise<Explanations> {
  const { model, manifest } = await readModel(options)
  return explanationsOf(model, manifest)
}

/** The files of a model that is the one it says it is: its names, sha256, nothing outside the file. */
async function readModel(options: Pick<LoadOptions, 'modelsDir'> & ModelReference) {
  const folder = join(options.modelsDir, checkedName(options.name), checkedName(options.version))
  const manifestBytes = await readLimited(join(folder, 'manifest.json'), modelLimits.manifestBytesMax, 'file_missing')
  const model = await readLimited(join(folder, 'model.onnx'), modelLimits.modelBytesMax, 'file_missing')
  const manifest = parseJson(manifestBytes, modelManifestSchema, 'manifest_invalid')
  checkManifest(manifest, options)
  checkBytes(model, manifest)
  return { model, manifest }
}

/** `models/registry.json`. Rejects with `model_refused`: `registry_missing` or `registry_invalid`. */
export async function readRegistry(modelsDir: string): Promise<ModelRegistry> {
  const path = join(modelsDir, 'registry.json')
  const bytes = await readLimited(path, modelLimits.registryBytesMax, 'registry_missing')
  return parseJson(bytes, modelRegistrySchema, 'registry_invalid')
}

/** Every model of the folder, loadable or not, in the order of their names. */
export async function listModels(modelsDir: string): Promise<ModelReference[]> {
  const paths = await readdir(modelsDir, { recursive: true }).catch(() => [])
  return paths.toSorted().flatMap((path) => {
    const [name, version, file] = path.split(sep)
    const parsed = modelFolder.safeParse({ name, version })
    return file === 'manifest.json' && parsed.success ? [parsed.data] : []
  })
}

/** The model that the registry names as champion, loaded by {@link loadScorer}. */
export async function loadChampion(options: LoadOptions): Promise<OnnxScorer> {
  const { champion } = await readRegistry(options.modelsDir)
  return loadScorer({ ...options, ...champion })
}

/**
 * `policies/<policy>.json` beside a model, for a service with these values. Rejects with `model_refused`:
 * `policy_missing` or `policy_invalid`.
 */
export async function loadPolicy(
  modelsDir: string,
  { name, version, policy: asked }: ModelReference & { readonly policy: string },
  names: readonly string[],
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
    return { version: policy.version, decide: compilePolicy(policy, names) }
  } catch (error) {
    if (isRiverbankError(error, 'policy_invalid')) throw new ModelRefused('policy_invalid', error.message, error)
    throw error
  }
}

/** Names come from configuration and requests; none may leave the folder of the models. */
function checkedName(name: string): string {
  const parsed = modelFolder.shape.name.safeParse(name)
  if (!parsed.success) throw new ModelRefused('file_missing', `${JSON.stringify(name)} names no model`)
  return parsed.data
}

/** At most `bytesMax`, whatever the file does while it is read. */
async function readLimited(path: string, bytesMax: number, missing: RefusalReason): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new ModelRefused(missing, `cannot open ${path}`, error)
  })
  try {
    const { size } = await file.stat()
    if (size > bytesMax) throw new ModelRefused('file_too_large', `${path}: ${size} bytes, at most ${bytesMax}`)
    const bytes = new Uint8Array(size)
    let read = 0
    while (read < size) {
      const { bytesRead } = await file.read(bytes, read, size - read, read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    return bytes.subarray(0, read)
  } catch (error) {
    if (isRiverbankError(error)) throw error
    throw new ModelRefused(missing, `cannot read ${path}`, error)
  } finally {
    await file.close()
  }
}

function parseJson<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  reason: RefusalReason,
): z.infer<Schema> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new ModelRefused(reason, messageOf(error), error)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new ModelRefused(reason, issues.join('; '))
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

function checkSignature(session: InferenceSession, manifest: ModelManifest): void {
  const width = manifest.features.length
  const { shape } = manifest.input
  if (shape.length !== 2 || typeof shape[0] === 'number' || shape[1] !== width) {
    throw new ModelRefused('signature_mismatch', `the input's shape is [rows, ${width}], not ${JSON.stringify(shape)}`)
  }
  const map = [...session.inputMetadata, ...session.outputMetadata].find(({ isTensor }) => !isTensor)
  if (map !== undefined) {
    throw new ModelRefused('signature_mismatch', `${map.name} is no tensor (ZipMap): export the model without it`)
  }
  const actual = describe([...session.inputMetadata], [...session.outputMetadata])
  const stated = describe(
    [{ ...manifest.input, isTensor: true }],
    manifest.outputs.map((output) => ({ ...output, isTensor: true })),
  )
  if (actual !== stated) throw new ModelRefused('signature_mismatch', `model.onnx has ${actual}, stated is ${stated}`)
}

/** Lengths that may differ from run to run are written as `*`: their names mean nothing. */
function describe(inputs: InferenceSession.ValueMetadata[], outputs: InferenceSession.ValueMetadata[]): string {
  const one = (value: InferenceSession.ValueMetadata): string => {
    if (!value.isTensor) return `${value.name}: no tensor`
    return `${value.name}: ${value.type}[${value.shape.map((n) => (typeof n === 'number' ? n : '*')).join(',')}]`
  }
  const all = (values: InferenceSession.ValueMetadata[]): string => values.map(one).sort().join(' ')
  return `(${all(inputs)}) → (${all(outputs)})`
}

/** Rows of the batches that are tried: every remainder of the widths that a processor computes with at once. */
const batchSizes: readonly number[] = [...Array.from({ length: 33 }, (_, i) => i + 2), 63, 127, 500]

/**
 * Scores the golden vectors: as expected, and alone as in a batch. A replay batches anew, so a score must not depend on
 * its neighbours: more than the tolerance is refused. The last bits of sums of products do depend on the size of the
 * batch (not those of trees): false then, and the model has to score row by row.
 */
async function checkGolden(scorer: OnnxScorer, manifest: ModelManifest): Promise<boolean> {
  const { vectors, scores, tolerance } = manifest.golden
  const batch = await answered(scorer, Float32Array.from(vectors.flat()), vectors.length)
  const alone = new Float32Array(vectors.length)
  for (const [row, vector] of vectors.entries()) {
    const score = batch[row] ?? NaN
    const expected = scores[row] ?? NaN
    if (Number.isNaN(score)) throw new ModelRefused('score_not_finite', `the score of vector ${row} is not finite`)
    if (!(Math.abs(score - expected) <= tolerance)) {
      throw new ModelRefused('golden_mismatch', `vector ${row} scores ${score}, expected is ${expected}`)
    }
    const [own = NaN] = await answered(scorer, Float32Array.from(vector), 1)
    if (!(Math.abs(own - score) <= tolerance)) {
      throw new ModelRefused('batch_dependent', `vector ${row} scores ${own} alone, else ${score}`)
    }
    alone[row] = own
  }
  if (batch.some((score, row) => score !== alone[row])) return false
  for (const size of batchSizes) {
    const rows = Array.from({ length: size }, (_, i) => (i + size) % vectors.length)
    const together = await answered(scorer, Float32Array.from(rows.flatMap((row) => vectors[row] ?? [])), size)
    if (together.some((score, i) => score !== alone[rows[i] ?? 0])) return false
  }
  return true
}

async function answered(scorer: OnnxScorer, vectors: Float32Array, rows: number): Promise<Float32Array> {
  try {
    return await scorer.score(vectors, rows)
  } catch (error) {
    throw new ModelRefused('session_failed', messageOf(error), error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
