import { createHash } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Explanations } from '../../scoring/explain/explainer.ts'
import type { ModelReference } from '../../scoring/rollout/generation.ts'
import { countCovers } from '../../scoring/explain/tree-covers.ts'
import { coversFile, coversSchema } from './covers.ts'
import { explanationsOf, type ForestCovers } from './explanations.ts'
import { modelLimits } from './files.ts'
import { adapted, readModel } from './load.ts'
import { readScore, type ReadScore } from './trees/read-score.ts'

/** A sample that represents all events. */
export interface Background {
  /** Vectors for the model, row-major. */
  readonly vectors: Float32Array
  readonly rows: number
  readonly fromMs: number
  readonly toMs: number
}

/**
 * Counts the events of the background that pass each node of a model's trees, and writes the counts beside the model:
 * `covers.json`, and its sha256 into the manifest. From then on reasons follow from them, on every machine and for
 * good. Answers the explanations that the model then has; if it still has none, it writes no file. Rejects with
 * `model_refused`.
 */
export async function registerCovers(
  options: { readonly modelsDir: string } & ModelReference,
  background: Background,
): Promise<Explanations> {
  const { model, manifest } = await readModel(options)
  const adaptation = adapted(model, manifest)
  const read = readScore(adaptation, { width: manifest.features.length, column: manifest.probability.column })
  if (read.kind === 'unavailable') return read
  const forests = countedForests(read, background.vectors, manifest.features.length)
  const explanations = explanationsOf(adaptation, manifest, forests)
  if (explanations.kind === 'unavailable') return explanations
  const covers = coversSchema.parse({
    format: 1,
    model: manifest.sha256,
    background: {
      rows: background.rows,
      from: new Date(background.fromMs).toISOString(),
      to: new Date(background.toMs).toISOString(),
    },
    forests,
  })
  const bytes = Buffer.from(`${JSON.stringify(covers)}\n`)
  if (bytes.length > modelLimits.coversBytesMax) {
    const reason = `the covers take ${bytes.length} bytes, at most ${modelLimits.coversBytesMax}`
    return { kind: 'unavailable', code: 'too_large', reason }
  }
  const folder = join(options.modelsDir, options.name, options.version)
  await replace(join(folder, coversFile), bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const manifestPath = join(folder, 'manifest.json')
  await replace(manifestPath, Buffer.from(withCovers(await readFile(manifestPath, 'utf8'), sha256)))
  return explanations
}

function countedForests({ forests, whole }: ReadScore, vectors: Float32Array, width: number): ForestCovers {
  const taken = whole.length === 0 ? vectors : vectors.slice()
  for (let row = 0; row < taken.length; row += width) {
    for (const element of whole) taken[row + element] = Math.trunc(taken[row + element] ?? NaN)
  }
  return forests.map((forest) => [...countCovers(forest, taken)])
}

/** Puts one more field in front of the others, whose text stays as it is. */
function withCovers(manifest: string, sha256: string): string {
  return manifest.replace('{', `{\n  "covers": { "sha256": "${sha256}" },`)
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, bytes)
  await rename(`${path}.new`, path)
}
