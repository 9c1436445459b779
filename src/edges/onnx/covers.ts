import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { ForestCovers } from './explanations.ts'
import { modelLimits, parseJson, readLimited } from './files.ts'
import type { ModelManifest } from './manifest.ts'
import { ModelRefused } from './refusal.ts'

export const coversFile = 'covers.json'

/** `covers.json`: the number of scored events that passed each node of a model's trees at its registration. */
export const coversSchema = z.strictObject({
  format: z.literal(1),
  /** The sha256 of the model.onnx with these trees. */
  model: z.string(),
  /** The counted events: their number, and the times of the first and the last. */
  background: z.strictObject({ rows: z.number().int().positive(), from: z.iso.datetime(), to: z.iso.datetime() }),
  /** By ensemble in the order of the file: by node in pre-order, the branch on which the comparison holds first. */
  forests: z.array(z.array(z.number().int().min(0))).min(1),
})
export type Covers = z.infer<typeof coversSchema>

/**
 * Reads the covers of a version: they are part of its decisions, because reasons follow from them. Null if the manifest
 * names none. Rejects with `model_refused`: `file_missing`, `file_too_large` or `covers_mismatch`.
 */
export async function readCovers(folder: string, manifest: ModelManifest): Promise<ForestCovers | null> {
  if (manifest.covers === undefined) return null
  const bytes = await readLimited(join(folder, coversFile), modelLimits.coversBytesMax, 'file_missing')
  const hash = createHash('sha256').update(bytes).digest('hex')
  if (hash !== manifest.covers.sha256) {
    throw new ModelRefused('covers_mismatch', `${coversFile} is ${hash}, the manifest says ${manifest.covers.sha256}`)
  }
  const covers = parseJson(bytes, coversSchema, 'covers_mismatch')
  if (covers.model === manifest.sha256) return covers.forests
  throw new ModelRefused('covers_mismatch', `${coversFile} is of the model.onnx ${covers.model}`)
}
