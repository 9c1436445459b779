import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { eachRound, sized, type Run } from './run.ts'
import { treeModel } from '../models/tree-model.ts'
import { seeded } from '../fuzz/definitions.ts'
import { loadScorer } from '../../src/edges/onnx/load.ts'
import { openSession, OnnxScorer } from '../../src/edges/onnx/scorer.ts'
import type { ModelManifest } from '../../src/edges/onnx/manifest.ts'

/** As many trees as a bank's model would have; the shipped one has fewer. */
export const trees = 200
const depth = 5
const batchRows = 32
const widths = [30, 45] as const
const fullWarmUpBatches = 300
const fullBatches = 3_000
/** µs a payment. */
const goal = { kind: 'below', value: 6 } as const

/**
 * Measures the processor time of the model per payment: batches of 32, one thread, the checks of every value included.
 */
export async function benchScoring(run: Run): Promise<void> {
  const warmUpBatches = sized(run, fullWarmUpBatches, 5)
  const measuredBatches = sized(run, fullBatches, 20)
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-models-'))
  try {
    for (const width of widths) {
      const features = Array.from({ length: width }, (_, i) => `feature_${i}`)
      const service = { name: 'bench', hash: '0'.repeat(64), features }
      const version = String(width)
      await writeTreeModel(dir, { name: 'trees', version }, service, { trees, depth, seed: width })
      const scorer = await loadScorer({ modelsDir: dir, name: 'trees', version, services: [service] })
      const vectors = randomVectors(batchRows, width, 7)
      await eachRound(run, `scoring, ${width} features`, async () => {
        for (let n = 0; n < warmUpBatches; n += 1) await scorer.score(vectors, batchRows)
        const before = process.cpuUsage()
        for (let n = 0; n < measuredBatches; n += 1) await scorer.score(vectors, batchRows)
        const { user, system } = process.cpuUsage(before)
        const us = (user + system) / (measuredBatches * batchRows)
        const name = `${trees} trees of depth ${depth}, ${width} features, batches of ${batchRows}`
        run.record({ benchmark: 'scoring', driver: null, name, unit: 'µs/payment', goal }, us)
      })
      await scorer.close()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

export function randomVectors(rows: number, width: number, seed: number): Float32Array {
  const random = seeded(seed)
  return Float32Array.from({ length: rows * width }, () => random.below(2_000) / 1_000 - 1)
}

/** Writes a model of random trees for a service, with golden vectors that the model itself has scored. */
export async function writeTreeModel(
  dir: string,
  model: { readonly name: string; readonly version: string },
  service: { readonly name: string; readonly hash: string; readonly features: readonly string[] },
  shape: { readonly trees: number; readonly depth: number; readonly seed: number },
): Promise<void> {
  const width = service.features.length
  const bytes = treeModel({ ...shape, width })
  const rows = 16
  const vectors = randomVectors(rows, width, 3)
  const manifest: ModelManifest = {
    format: 1,
    ...model,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    featureSet: service.hash,
    service: service.name,
    features: [...service.features],
    input: { name: 'features', type: 'float32', shape: ['rows', width] },
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 1] }],
    probability: { output: 'probabilities', column: 0 },
    thresholds: { review: 0.5, block: 0.9 },
    golden: { tolerance: 1e-6, vectors: [], scores: [] },
  }
  const scorer = new OnnxScorer({
    ...{ session: await openSession(bytes), manifest, input: 'features', output: 'probabilities', columns: 1 },
    explanations: { kind: 'unavailable', code: 'no_trees', reason: 'nobody asks' },
  })
  const scores = [...(await scorer.score(vectors, rows))]
  await scorer.close()
  const golden = { tolerance: 1e-6, vectors: rowsOf(vectors, width), scores }
  mkdirSync(join(dir, model.name, model.version), { recursive: true })
  writeFileSync(join(dir, model.name, model.version, 'model.onnx'), bytes)
  writeFileSync(
    join(dir, model.name, model.version, 'manifest.json'),
    JSON.stringify({ ...manifest, golden } satisfies ModelManifest),
  )
}

function rowsOf(vectors: Float32Array, width: number): number[][] {
  return Array.from({ length: vectors.length / width }, (_, row) => [
    ...vectors.subarray(row * width, (row + 1) * width),
  ])
}
