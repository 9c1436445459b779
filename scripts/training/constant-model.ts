import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { treeModel } from '../models/tree-model.ts'
import type { ServiceManifest } from '../../src/engine/feature-set.ts'

/** Log odds of its answer to every event: 0.005%. */
const logOdds = -10
const goldenRows = 16

/**
 * Writes a model that approves everything, for a project that has none: its scores fill the lake, on which the next
 * model is trained.
 */
export async function writeConstantModel(
  folder: string,
  name: string,
  version: string,
  service: ServiceManifest,
): Promise<void> {
  const { features } = service
  const width = features.length
  const model = treeModel({ trees: 1, depth: 1, width, seed: 1, leaf: logOdds })
  const score = 1 / (1 + Math.exp(-logOdds))
  const manifest = {
    format: 1,
    ...{ name, version },
    sha256: createHash('sha256').update(model).digest('hex'),
    featureSet: service.hash,
    service: service.name,
    features,
    input: { name: 'features', type: 'float32', shape: ['rows', width] },
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 1] }],
    probability: { output: 'probabilities', column: 0 },
    thresholds: { review: 0.5, block: 0.9 },
    golden: {
      tolerance: 1e-6,
      vectors: Array.from({ length: goldenRows }, (_, row) => features.map(() => row)),
      scores: Array.from({ length: goldenRows }, () => score),
    },
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), model)
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}
