import { createHash } from 'node:crypto'
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modelLimits } from '../../../src/edges/onnx/files.ts'
import { loadChampion, loadScorer, readRegistry } from '../../../src/edges/onnx/load.ts'
import { ModelRefused, type RefusalReason, refusalReasons } from '../../../src/edges/onnx/refusal.ts'
import {
  featureSetHash,
  features,
  services,
  type Manifest,
  type ModelOptions,
  modelsFolder,
  writeModel,
} from './model-folder.ts'

const load = (modelsDir: string, changes: { hash?: string; features?: readonly string[] } = {}) =>
  loadScorer({ modelsDir, name: 'fraud', version: '1', services: [{ ...services[0], ...changes }] })

const seen = new Set<RefusalReason>()

async function refusal(loading: Promise<unknown>): Promise<{ reason: RefusalReason; message: string }> {
  const error = await loading.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ModelRefused)
  expect(error).toMatchObject({ code: 'model_refused', canRetry: false })
  const { reason, message } = error as ModelRefused
  expect(message.startsWith(`${reason}: `)).toBe(true)
  seen.add(reason)
  return { reason, message }
}

async function refusalOf(options: ModelOptions): Promise<{ reason: RefusalReason; message: string }> {
  const modelsDir = modelsFolder()
  writeModel(modelsDir, options)
  return refusal(load(modelsDir))
}

/** Changes bytes of model.onnx; `stamped` also makes the manifest say that they are right. */
function damage(folder: string, change: (bytes: Uint8Array) => Uint8Array, stamped: boolean): void {
  const path = join(folder, 'model.onnx')
  const bytes = change(new Uint8Array(readFileSync(path)))
  writeFileSync(path, bytes)
  if (!stamped) return
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest
  manifest.sha256 = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
}

const flipped = (at: number) => (bytes: Uint8Array) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

describe('a model that is what it says', () => {
  it('loads, with the name, version and thresholds of its manifest', async () => {
    const modelsDir = modelsFolder()
    writeModel(modelsDir)
    const scorer = await load(modelsDir)
    expect(scorer).toMatchObject({ name: 'fraud', version: '1', thresholds: { review: 0.3, block: 0.8 } })
    await scorer.close()
  })

  it('is the champion when the registry says so', async () => {
    const modelsDir = modelsFolder()
    writeModel(modelsDir)
    const rollout = { champion: { name: 'fraud', version: '1' }, shadows: [{ name: 'fraud', version: '2' }] }
    const registry = { 'payment.initiated': rollout }
    writeFileSync(join(modelsDir, 'registry.json'), JSON.stringify(registry))
    expect(await readRegistry(modelsDir)).toEqual(registry)
    const scorer = await loadChampion({ modelsDir, services, eventType: 'payment.initiated' })
    expect(scorer.version).toBe('1')
    await scorer.close()
    const other = await refusal(loadChampion({ modelsDir, services, eventType: 'login.attempted' }))
    expect(other).toMatchObject({ reason: 'registry_invalid', message: expect.stringContaining('login.attempted') })
  })
})

describe('files', () => {
  it.each(['model.onnx', 'manifest.json'])('a missing %s is refused', async (file) => {
    const modelsDir = modelsFolder()
    rmSync(join(writeModel(modelsDir), file))
    expect((await refusal(load(modelsDir))).reason).toBe('file_missing')
  })

  it.each([
    ['model.onnx', modelLimits.modelBytesMax],
    ['manifest.json', modelLimits.manifestBytesMax],
  ])('a %s above its limit is refused without reading it', async (file, bytesMax) => {
    const modelsDir = modelsFolder()
    truncateSync(join(writeModel(modelsDir), file), bytesMax + 1)
    expect((await refusal(load(modelsDir))).reason).toBe('file_too_large')
  })

  it.each(['../fraud', '..', '/etc', 'a/b', ''])('the name %j cannot leave the folder', async (name) => {
    const outside = modelsFolder()
    writeModel(outside)
    const options = { modelsDir: join(outside, 'inside'), name, version: '1', services }
    expect((await refusal(loadScorer(options))).message).toContain('names no model')
  })

  it('a missing or broken registry is refused', async () => {
    const modelsDir = modelsFolder()
    expect((await refusal(readRegistry(modelsDir))).reason).toBe('registry_missing')
    writeFileSync(
      join(modelsDir, 'registry.json'),
      '{"payment.initiated": {"champion": {"name": "../x", "version": "1"}, "shadows": []}}',
    )
    expect((await refusal(readRegistry(modelsDir))).reason).toBe('registry_invalid')
  })

  const [first, second] = [
    { name: 'fraud', version: '1' },
    { name: 'fraud', version: '2' },
  ]
  it.each([
    ['with an unknown field', { champion: first, shadows: [], shadow: [] }],
    ['with a shadow twice', { champion: first, shadows: [second, second] }],
    ['whose champion is a shadow, too', { champion: first, shadows: [first] }],
    ['with a policy for a shadow', { champion: first, shadows: [{ ...second, policy: '1' }] }],
  ])('%s is refused', async (_what, registry) => {
    const modelsDir = modelsFolder()
    writeFileSync(join(modelsDir, 'registry.json'), JSON.stringify({ 'payment.initiated': registry }))
    expect((await refusal(readRegistry(modelsDir))).reason).toBe('registry_invalid')
    writeFileSync(join(modelsDir, 'registry.json'), JSON.stringify(registry))
    expect((await refusal(readRegistry(modelsDir))).reason, 'of no type').toBe('registry_invalid')
  })
})

describe('the manifest', () => {
  const cases: [string, (manifest: Manifest) => unknown][] = [
    ['of another format', (m) => ({ ...m, format: 2 })],
    ['without golden vectors', (m) => ({ ...m, golden: { ...m.golden, vectors: [], scores: [] } })],
    ['with fewer scores than vectors', (m) => ({ ...m, golden: { ...m.golden, scores: m.golden.scores.slice(1) } })],
    ['with a golden value that is no float32', (m) => withVector(m, [0.1, 0, 0])],
    ['with a golden vector that is too short', (m) => withVector(m, [0, 0])],
    ['with a feature twice', (m) => ({ ...m, features: ['amount', 'amount', 'risk'] })],
    ['whose probability is in no output', (m) => ({ ...m, probability: { output: 'label', column: 0 } })],
    ['whose probability is in no column', (m) => ({ ...m, probability: { output: 'probabilities', column: 1 } })],
    ['with a loose tolerance', (m) => ({ ...m, golden: { ...m.golden, tolerance: 0.5 } })],
    ['of another model', (m) => ({ ...m, version: '2' })],
    ['with an unknown field', (m) => ({ ...m, treshold: 0.5 })],
    ['with an unknown field inside', (m) => ({ ...m, thresholds: { ...m.thresholds, reveiw: 0.1 } })],
    ['with an output twice', (m) => ({ ...m, outputs: [...m.outputs, ...m.outputs] })],
    ['whose golden vectors are all the same', (m) => withVectors(m, new Array<number[]>(16).fill([1, 2, 3]))],
    [
      'with a golden score that is no probability',
      (m) => ({ ...m, golden: { ...m.golden, scores: m.golden.scores.with(0, 2) } }),
    ],
    [
      'that knows a feature which the model does not take',
      (m) => ({ ...m, featureStats: { age: { mean: 1, median: 1 } } }),
    ],
    ['with inputs for some features only', (m) => ({ ...m, input: [column('a'), column('b')] })],
    ['with an input twice', (m) => ({ ...m, input: [column('a'), column('b'), column('a')] })],
    ['whose training ends before it begins', (m) => withTraining(m, { from: m.training.to, to: m.training.from })],
    ['whose training days end before they begin', (m) => withTraining(m, { days: [121, 115] })],
    ['with more frauds than rows', (m) => withTraining(m, { frauds: m.training.rows + 1 })],
    ['with labels known before the last payment', (m) => withTraining(m, { labelsKnownBy: m.training.from })],
    ['with a metric above 1', (m) => ({ ...m, metrics: { ...m.metrics, test: { ...m.metrics.test, aucRoc: 1.5 } } })],
    ['with a metric below 0', (m) => ({ ...m, metrics: { ...m.metrics, test: { ...m.metrics.test, aucRoc: -0.1 } } })],
    [
      'with more frauds than test rows',
      (m) => ({ ...m, metrics: { ...m.metrics, test: { ...m.metrics.test, frauds: 101 } } }),
    ],
    ['with covers by no hash', (m) => ({ ...m, covers: { sha256: 'x' } })],
  ]
  const withVectors = (m: Manifest, vectors: number[][]) => ({ ...m, golden: { ...m.golden, vectors } })
  const withTraining = (m: Manifest, change: object) => ({ ...m, training: { ...m.training, ...change } })
  const column = (name: string) => ({ name, type: 'float32', shape: ['rows', 1] })
  const withVector = (m: Manifest, vector: number[]) => ({
    ...m,
    golden: { ...m.golden, vectors: m.golden.vectors.with(0, vector) },
  })

  it.each(cases)('%s is refused', async (_name, manifest) => {
    expect((await refusalOf({ manifest })).reason).toBe('manifest_invalid')
  })

  it('cut short is refused', async () => {
    const modelsDir = modelsFolder()
    truncateSync(join(writeModel(modelsDir), 'manifest.json'), 100)
    expect((await refusal(load(modelsDir))).reason).toBe('manifest_invalid')
  })
})

describe('the bytes of the model', () => {
  it('cut short are refused', async () => {
    const modelsDir = modelsFolder()
    truncateSync(join(writeModel(modelsDir), 'model.onnx'), 60)
    expect((await refusal(load(modelsDir))).reason).toBe('hash_mismatch')
  })

  it('every single flipped bit is refused', async () => {
    const modelsDir = modelsFolder()
    const folder = writeModel(modelsDir)
    const { length } = readFileSync(join(folder, 'model.onnx'))
    for (let at = 0; at < length; at += 7) {
      damage(folder, flipped(at), false)
      expect((await refusal(load(modelsDir))).reason).toBe('hash_mismatch')
      damage(folder, flipped(at), false)
    }
    await (await load(modelsDir)).close()
  })

  it('that are no ONNX are refused even with the right hash', async () => {
    for (const change of [
      (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 40),
      () => new TextEncoder().encode('not a model'),
      () => new Uint8Array(0),
    ]) {
      const modelsDir = modelsFolder()
      damage(writeModel(modelsDir), change, true)
      expect((await refusal(load(modelsDir))).reason).toBe('session_failed')
    }
  })

  it('a bit flipped in a weight is caught by the golden vectors when the hash was stamped anew', async () => {
    const modelsDir = modelsFolder()
    const folder = writeModel(modelsDir)
    const weight = Buffer.from(Float32Array.of(0.5).buffer)
    const at = readFileSync(join(folder, 'model.onnx')).indexOf(weight) + 2
    damage(folder, flipped(at), true)
    expect((await refusal(load(modelsDir))).reason).toBe('golden_mismatch')
  })

  it('with data in another file are refused before they are opened', async () => {
    expect((await refusalOf({ model: { external: '../../secret' } })).reason).toBe('external_data')
  })
})

describe('the service it was trained for', () => {
  it('another feature set is refused, and both hashes are named', async () => {
    const modelsDir = modelsFolder()
    writeModel(modelsDir)
    const other = 'cd'.repeat(32)
    const { reason, message } = await refusal(load(modelsDir, { hash: other }))
    expect(reason).toBe('feature_set_mismatch')
    expect(message).toContain(featureSetHash)
    expect(message).toContain(other)
  })

  it.each([
    ['in another order', ['count', 'amount', 'risk']],
    ['with one more', [...features, 'extra']],
    ['with one less', features.slice(0, 2)],
  ])('features %s are refused', async (_name, others) => {
    const modelsDir = modelsFolder()
    writeModel(modelsDir)
    expect((await refusal(load(modelsDir, { features: others }))).reason).toBe('features_mismatch')
  })

  it.each([
    [0, 0.5],
    [0.6, 0.5],
    [0.5, 1.01],
    [-1, -0.5],
  ])('thresholds review %d, block %d are refused', async (review, block) => {
    const manifest = (m: Manifest) => ({ ...m, thresholds: { review, block } })
    expect((await refusalOf({ manifest })).reason).toBe('thresholds_invalid')
  })
})

describe('what it computes', () => {
  const fixedRows = (m: Manifest) => ({
    ...m,
    input: { ...m.input, shape: [16, 3] },
    outputs: [{ ...m.outputs[0], shape: [16, 1] }],
  })
  it.each<[string, ModelOptions]>([
    ['input name', { model: { input: 'x' } }],
    ['output name', { model: { output: 'y' } }],
    ['input width', { model: { weights: [1, 2, 3, 4] } }],
    ['stated input width', { manifest: (m) => ({ ...m, input: { ...m.input, shape: ['rows', 4] } }) }],
    ['number of rows', { manifest: (m) => ({ ...m, input: { ...m.input, shape: [1, 3] } }) }],
    ['fixed number of rows', { model: { rows: 16 }, manifest: fixedRows }],
    ['output width', { manifest: (m) => ({ ...m, outputs: [{ ...m.outputs[0], shape: ['rows', 2] }] }) }],
  ])('another %s is refused', async (_name, options) => {
    expect((await refusalOf(options)).reason).toBe('signature_mismatch')
  })

  it('covers other than those of the manifest, or of another model, are refused', async () => {
    const from = '2026-01-01T00:00:00.000Z'
    const modelsDir = modelsFolder()
    const covers = { format: 1, model: 'cd'.repeat(32), background: { rows: 1, from, to: from }, forests: [[1]] }
    const bytes = JSON.stringify(covers)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const folder = writeModel(modelsDir, { manifest: (m) => ({ ...m, covers: { sha256 } }) })
    expect((await refusal(load(modelsDir))).reason).toBe('file_missing')
    writeFileSync(join(folder, 'covers.json'), `${bytes} `)
    expect((await refusal(load(modelsDir))).message).toContain('the manifest says')
    writeFileSync(join(folder, 'covers.json'), bytes)
    expect((await refusal(load(modelsDir))).message).toContain('is of the model.onnx cdcd')
  })

  it('scores that are NaN are refused', async () => {
    expect((await refusalOf({ model: { then: 'Sqrt', bias: -100 } })).reason).toBe('score_not_finite')
  })

  it('scores other than expected, or outside 0 to 1, are refused', async () => {
    expect((await refusalOf({ model: { bias: 0.001 } })).reason).toBe('golden_mismatch')
    expect((await refusalOf({ model: { then: 'Identity' } })).reason).toBe('golden_mismatch')
  })

  it('scores that depend on the rest of the batch are refused', async () => {
    const vectors = (m: Manifest) => m.golden.vectors
    const centered = (m: Manifest) => {
      const sums = vectors(m).map(([a = 0, b = 0, c = 0]) => a * 0.5 - b * 0.25 + c * 2)
      const mean = sums.reduce((total, sum) => total + sum, 0) / sums.length
      return { ...m, golden: { ...m.golden, scores: sums.map((sum) => 1 / (1 + Math.exp(mean - sum))) } }
    }
    expect((await refusalOf({ model: { batchMean: true }, manifest: centered })).reason).toBe('batch_dependent')
  })
})

it('every reason to refuse has been seen', () => {
  // Those of policies are seen in policy.test.ts.
  const ofModels = refusalReasons.filter((reason) => !reason.startsWith('policy_'))
  expect([...seen].sort()).toEqual([...ofModels].sort())
})
