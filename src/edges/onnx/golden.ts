import type { ModelManifest } from './manifest.ts'
import { messageOf, ModelRefused } from './refusal.ts'
import type { OnnxScorer } from './scorer.ts'

/** Rows of the tested batches: every remainder of the widths of a CPU's vector instructions. */
const batchSizes: readonly number[] = [...Array.from({ length: 33 }, (_, i) => i + 2), 63, 127, 500]

/**
 * Scores the golden vectors: each must be as expected, and alone as in a batch. A replay batches anew, so a score must
 * not depend on its neighbours: a difference beyond the tolerance is refused. The last bits of sums of products (not
 * those of trees) do depend on the size of the batch: then it answers false, and the model has to score row by row.
 */
export async function checkGolden(scorer: OnnxScorer, manifest: ModelManifest): Promise<boolean> {
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
