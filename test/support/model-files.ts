import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { modelName, type ModelReference } from '../../src/scoring/rollout/generation.ts'
import type { ModelManifest } from '../../src/edges/onnx/manifest.ts'
import { messagesOf } from '../../src/edges/onnx/graph.ts'
import { changedFields } from '../../src/edges/onnx/protobuf.ts'
import { linearModel } from './onnx-model.ts'

const utf8 = new TextDecoder()
const shipped = fileURLToPath(new URL('../../models', import.meta.url))

/** A folder of models with the shipped ones, and a registry that names the shipped champion. */
export function copyShippedModels(dir: string): void {
  cpSync(shipped, dir, { recursive: true })
}

export function readManifest(dir: string, model: ModelReference): ModelManifest {
  return JSON.parse(readFileSync(join(dir, modelName(model), 'manifest.json'), 'utf8')) as ModelManifest
}

/**
 * Writes a model that takes the vector of another one: the sigmoid of one of its elements, scaled. Its manifest is
 * right in every way.
 */
export function writeLinearModel(
  dir: string,
  like: ModelReference,
  model: ModelReference,
  { element = 0, weight = 0.01 }: { readonly element?: number; readonly weight?: number } = {},
): void {
  const manifest = readManifest(dir, like)
  const { vectors } = manifest.golden
  const bytes = linearModel({ weights: manifest.features.map((_, i) => (i === element ? weight : 0)) })
  const scores = vectors.map((vector) => 1 / (1 + Math.exp(-Math.fround(weight) * (vector[element] ?? 0))))
  writeModelFiles(dir, bytes, {
    ...manifest,
    ...model,
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 1] }],
    probability: { output: 'probabilities', column: 0 },
    golden: { ...manifest.golden, tolerance: 1e-6, scores },
  })
}

/** Writes a copy of a model whose trees have no covers. */
export function writeWithoutCovers(dir: string, like: ModelReference, model: ModelReference): void {
  const file = readFileSync(join(dir, modelName(like), 'model.onnx'))
  const isCovers = (attribute: Uint8Array) =>
    [...messagesOf(attribute, 1)].some((name) => utf8.decode(name) === 'nodes_hitrates')
  const bytes = changedFields(file, 7, (graph) => [
    changedFields(graph, 1, (node) => [changedFields(node, 5, (one) => (isCovers(one) ? [] : null))]),
  ])
  writeModelFiles(dir, bytes, { ...readManifest(dir, like), ...model })
}

/** Writes both files of a model; the manifest gets the sha256 of the bytes. */
export function writeModelFiles(dir: string, bytes: Uint8Array, manifest: ModelManifest): void {
  const folder = join(dir, modelName(manifest))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'model.onnx'), bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, sha256 }))
}
