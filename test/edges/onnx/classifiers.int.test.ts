import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'
import { loadScorer } from '../../../src/edges/onnx/load.ts'
import type { ModelManifest } from '../../../src/edges/onnx/manifest.ts'
import { isModelRefused } from '../../../src/edges/onnx/refusal.ts'
import { writeModelFiles } from '../../support/model-files.ts'
import { python, pythonAvailable } from '../../support/python.ts'

const { services } = definitions(readConfig({})).manifest
const [service] = services
if (service === undefined) throw new Error('there is a service')
const missing = await pythonAvailable()
const program = fileURLToPath(new URL('classifiers.py', import.meta.url))

interface Answers {
  readonly vectors: number[][]
  readonly logistic: number[]
  readonly network: number[]
}

type Outputs = Pick<ModelManifest, 'outputs' | 'probability'>
const label: Outputs['outputs'][number] = { name: 'label', type: 'int64', shape: ['rows'] }
const kinds: Readonly<Record<'logistic' | 'network', Outputs>> = {
  logistic: {
    outputs: [label, { name: 'probabilities', type: 'float32', shape: ['rows', 2] }],
    probability: { output: 'probabilities', column: 1 },
  },
  network: {
    outputs: [{ name: 'fraud', type: 'float32', shape: ['rows', 1] }],
    probability: { output: 'fraud', column: 0 },
  },
}

describe.skipIf(missing !== null)('any classifier over a vector of floats, made by Python', () => {
  let folder: string
  let answers: Answers
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'riverbank-classifiers-'))
    const { stdout } = await promisify(execFile)(python, [program, folder, String(service.features.length)])
    answers = JSON.parse(stdout) as Answers
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** The manifest that docs/models.md describes, without what is optional. */
  function manifestOf(version: string, kind: keyof typeof kinds): ModelManifest {
    return {
      format: 1,
      name: 'foreign',
      version,
      sha256: '0'.repeat(64),
      featureSet: service?.hash ?? '',
      service: service?.name ?? '',
      features: [...(service?.features ?? [])],
      input: { name: 'features', type: 'float32', shape: ['rows', service?.features.length ?? 0] },
      ...kinds[kind],
      thresholds: { review: 0.5, block: 0.9 },
      golden: { tolerance: 1e-5, vectors: answers.vectors, scores: answers[kind] },
    }
  }
  const load = (version: string) => loadScorer({ modelsDir: folder, name: 'foreign', version, services })

  it.each(['logistic', 'network'] as const)(
    'a %s model loads with a hand-written manifest, and scores',
    async (kind) => {
      writeModelFiles(folder, readFileSync(join(folder, `${kind}.onnx`)), manifestOf(kind, kind))
      const scorer = await load(kind)
      const scores = await scorer.score(Float32Array.from(answers.vectors.flat()), answers.vectors.length)
      for (const [row, score] of scores.entries()) expect(score).toBeCloseTo(answers[kind][row] ?? NaN, 5)
      expect(new Set(scores).size).toBeGreaterThan(10)
      // I2: a replay batches anew.
      const width = service.features.length
      for (const size of [1, 2, 5, 11, 16]) {
        const part = await scorer.score(Float32Array.from(answers.vectors.flat().slice(0, size * width)), size)
        expect(part, `${size} rows`).toEqual(scores.subarray(0, size))
      }
      await scorer.close()
    },
  )

  it('probabilities of the other class are not taken for those of fraud', async () => {
    const manifest = manifestOf('swapped', 'logistic')
    const probability = { output: 'probabilities', column: 0 }
    writeModelFiles(folder, readFileSync(join(folder, 'logistic.onnx')), { ...manifest, probability })
    await expect(load('swapped')).rejects.toSatisfy((error) => isModelRefused(error, 'golden_mismatch'))
  })

  it('a label is no probability', async () => {
    const manifest = manifestOf('label', 'logistic')
    const probability = { output: 'label', column: 0 }
    writeModelFiles(folder, readFileSync(join(folder, 'logistic.onnx')), { ...manifest, probability })
    await expect(load('label')).rejects.toSatisfy((error) => isModelRefused(error, 'manifest_invalid'))
  })

  it('a map of probabilities by class (ZipMap) is taken as the matrix that it is made of', async () => {
    const manifest = manifestOf('zipmap', 'logistic')
    const outputs: Outputs['outputs'] = [label, { name: 'by_class', type: 'float32', shape: ['rows', 2] }]
    const probability = { output: 'by_class', column: 1 }
    writeModelFiles(folder, readFileSync(join(folder, 'zipmap.onnx')), { ...manifest, outputs, probability })
    const scorer = await load('zipmap')
    onTestFinished(() => scorer.close())
    const scores = await scorer.score(Float32Array.from(answers.vectors.flat()), answers.vectors.length)
    for (const [row, score] of scores.entries()) expect(score).toBeCloseTo(answers.logistic[row] ?? NaN, 5)
  })

  it.each([
    ['of another name', 'probabilities', 2],
    ['of another width', 'by_class', 3],
  ])('a map that is stated as a matrix %s is refused, and the refusal tells both', async (_how, name, columns) => {
    const manifest = manifestOf('zipmap-not', 'logistic')
    const outputs: Outputs['outputs'] = [label, { name, type: 'float32', shape: ['rows', columns] }]
    const probability = { output: name, column: 1 }
    writeModelFiles(folder, readFileSync(join(folder, 'zipmap.onnx')), { ...manifest, outputs, probability })
    const refused: unknown = await load('zipmap-not').catch((error: unknown) => error)
    expect(isModelRefused(refused, 'signature_mismatch'), String(refused)).toBe(true)
    expect(String(refused)).toContain('model.onnx answers by_class: float32')
    expect(String(refused)).toContain(`${name}: float32[*,${columns}]`)
  })
})
