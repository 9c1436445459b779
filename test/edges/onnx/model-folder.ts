import { createHash } from 'node:crypto'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { linearModel, type LinearModel } from '../../support/onnx-model.ts'

export const featureSetHash = 'ab'.repeat(32)
export const features = ['amount', 'count', 'risk'] as const
export const services = [{ name: 'fraud_v1', hash: featureSetHash, features }] as const
const weights = [0.5, -0.25, 2]

/** A folder of models in a temporary directory, removed after the test. */
export function modelsFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'riverbank-models-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Sixteen vectors of small and large values; all are float32. */
const vectors = Array.from({ length: 16 }, (_, row) =>
  features.map((_feature, column) => (row - 6) * (column + 1) * 0.25),
)

export function expectedScore(vector: readonly number[], model: LinearModel = { weights }): number {
  const sum = vector.reduce((total, value, index) => total + value * (model.weights[index] ?? 0), model.bias ?? 0)
  return 1 / (1 + Math.exp(-sum))
}

const fold = { aucRoc: 0.9, averagePrecision: 0.6, cardPrecision100: 0.3, rows: 100, frauds: 5 }
const point = { alertRate: 0.01, precision: 0.5, recall: 0.5 }

/** A manifest that is right for the model of these bytes. */
export function manifestFor(model: Uint8Array) {
  return {
    format: 1,
    name: 'fraud',
    version: '1',
    sha256: createHash('sha256').update(model).digest('hex'),
    featureSet: featureSetHash,
    service: 'fraud_v1',
    features: [...features] as string[],
    input: { name: 'features', type: 'float32', shape: ['rows', 3] as (string | number)[] },
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 1] as (string | number)[] }],
    probability: { output: 'probabilities', column: 0 },
    thresholds: { review: 0.3, block: 0.8 },
    training: {
      from: '2018-07-25T00:00:00.000Z',
      to: '2018-07-31T23:59:59.000Z',
      days: [115, 121],
      rows: 1000,
      frauds: 8,
      seed: 0,
      parameters: { trees: 1 },
      tools: { python: '3.11.7' },
    },
    metrics: {
      validation: fold,
      test: fold,
      atReview: point,
      atBlock: point,
      testFolds: { folds: 1, aucRoc: 0.9, averagePrecision: 0.6, cardPrecision100: 0.3 },
      differenceToNative: 0,
    },
    golden: { tolerance: 1e-6, vectors, scores: vectors.map((vector) => expectedScore(vector)) },
  }
}

export type Manifest = ReturnType<typeof manifestFor>

export interface ModelOptions {
  readonly model?: Partial<LinearModel>
  /** Changes the manifest after it was made to fit the model. */
  readonly manifest?: (manifest: Manifest) => unknown
}

/** Writes fraud/1; answers its folder. Without options everything about it is right. */
export function writeModel(modelsDir: string, options: ModelOptions = {}): string {
  const model = linearModel({ weights, ...options.model })
  const folder = join(modelsDir, 'fraud', '1')
  mkdirSync(folder, { recursive: true })
  const manifest = manifestFor(model)
  const changed = options.manifest?.(manifest) ?? manifest
  writeFileSync(join(folder, 'model.onnx'), model)
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(changed))
  return folder
}
