import { describe, expect, it, onTestFinished } from 'vitest'
import { loadScorer } from '../../../src/edges/onnx/load.ts'
import type { OnnxScorer } from '../../../src/edges/onnx/scorer.ts'
import { expectedScore, features, services, type ModelOptions, modelsFolder, writeModel } from './model-folder.ts'

async function scorerOf(options: ModelOptions = {}): Promise<OnnxScorer> {
  const modelsDir = modelsFolder()
  writeModel(modelsDir, options)
  const scorer = await loadScorer({ modelsDir, name: 'fraud', version: '1', services })
  onTestFinished(() => scorer.close())
  return scorer
}

function rowsOf(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count * features.length }, (_, index) => Math.sin(seed + index) * 3)
}

describe('score', () => {
  it('answers one probability per row, in order', async () => {
    const scorer = await scorerOf()
    const vectors = rowsOf(50, 1)
    const scores = await scorer.score(vectors, 50)
    expect(scores).toHaveLength(50)
    for (const [row, score] of scores.entries()) {
      expect(score).toBeCloseTo(expectedScore([...vectors.subarray(row * 3, row * 3 + 3)]), 6)
    }
  })

  it('takes any number of rows, none included', async () => {
    const scorer = await scorerOf()
    for (const count of [0, 1, 2, 500, 3, 5_000, 1]) {
      expect(await scorer.score(rowsOf(count, count), count)).toHaveLength(count)
    }
  })

  it('keeps calls that overlap apart, and copies what it was given', async () => {
    const scorer = await scorerOf()
    const alone: Float32Array[] = []
    for (let call = 0; call < 20; call += 1) alone.push(await scorer.score(rowsOf(call + 1, call), call + 1))
    const together = await Promise.all(
      alone.map((_, call) => {
        const vectors = rowsOf(call + 1, call)
        const scores = scorer.score(vectors, call + 1)
        vectors.fill(NaN)
        return scores
      }),
    )
    expect(together).toEqual(alone)
  })

  it.each([NaN, Infinity, -Infinity])('refuses %d in a vector, names it, and goes on', async (value) => {
    const scorer = await scorerOf()
    const vectors = rowsOf(3, 1)
    vectors[4] = value
    await expect(scorer.score(vectors, 3)).rejects.toMatchObject({
      code: 'vector_not_finite',
      canRetry: false,
      message: `count of row 1 is ${value}`,
    })
    expect(await scorer.score(rowsOf(3, 1), 3)).toHaveLength(3)
  })

  it('answers NaN for a row whose score is not finite, and the rest as ever', async () => {
    // Square roots: right for the golden vectors, which are made to fit, and NaN for a negative sum.
    const scorer = await scorerOf({
      model: { weights: [0, 0, 1], then: 'Sqrt' },
      manifest: (manifest) => {
        const vectors = manifest.golden.vectors.map((_, row) => [row, -row, row / 16])
        const scores = vectors.map(([, , c = 0]) => Math.sqrt(c))
        return { ...manifest, golden: { ...manifest.golden, vectors, scores } }
      },
    })
    const scores = await scorer.score(Float32Array.of(0, 0, 1, 0, 0, -1, 0, 0, 0.25), 3)
    expect([...scores]).toEqual([1, NaN, 0.5])
  })

  it('a length that does not fit the rows is a bug, not input', async () => {
    const scorer = await scorerOf()
    await expect(scorer.score(rowsOf(2, 1), 3)).rejects.toThrow('assertion failed')
    await expect(scorer.score(rowsOf(2, 1), -1)).rejects.toThrow('assertion failed')
  })
})

describe('close', () => {
  it('waits for what runs, can be repeated, and nothing scores afterwards', async () => {
    const scorer = await scorerOf()
    const running = scorer.score(rowsOf(4, 1), 4)
    await Promise.all([scorer.close(), scorer.close()])
    expect(await running).toHaveLength(4)
    await expect(scorer.score(rowsOf(1, 1), 1)).rejects.toThrow('is closed')
  })
})
