import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createScoreExplainer } from '../../../src/scoring/explain/score-explainer.ts'
import { readGraph } from '../../../src/edges/onnx/graph.ts'
import { readScore } from '../../../src/edges/onnx/trees/read-score.ts'
import { python, pythonAvailable } from '../../support/python.ts'

const script = fileURLToPath(new URL('contributions.py', import.meta.url))
const tolerance = 1e-5

describe.skipIf((await pythonAvailable()) !== null)('exact SHAP values of an exported model', () => {
  it.each([
    [100, 3],
    [200, 6],
  ])('are what xgboost says of 1,000 rows: %i trees of depth %i', { timeout: 240_000 }, async (trees, depth) => {
    const folder = await mkdtemp(join(tmpdir(), 'riverbank-shap-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await promisify(execFile)(python, [script, folder, String(trees), String(depth)])
    const floats = async (name: string) => {
      const bytes = await readFile(join(folder, name))
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
    }
    const [rows, expected, margins] = [
      await floats('rows.f32'),
      await floats('contributions.f32'),
      await floats('margins.f32'),
    ]
    const width = rows.length / margins.length
    const graph = readGraph(await readFile(join(folder, 'model.onnx')))
    const found = readScore({ graph, input: 'features', output: 'probabilities' }, { width, column: 1 })
    if (found.kind === 'unavailable') throw new Error(found.reason)
    const shap = createScoreExplainer(found.formula, width)
    let [worst, worstSum] = [0, 0]
    for (const [row, margin] of margins.entries()) {
      const contributions = shap.contributions(rows.subarray(row * width, (row + 1) * width))
      const native = expected.subarray(row * (width + 1), (row + 1) * (width + 1))
      for (const [i, one] of contributions.entries()) worst = Math.max(worst, Math.abs(one - (native[i] ?? NaN)))
      worst = Math.max(worst, Math.abs(shap.base - (native[width] ?? NaN)))
      const sum = contributions.reduce((total, one) => total + one, shap.base)
      worstSum = Math.max(worstSum, Math.abs(sum - margin))
    }
    expect(margins).toHaveLength(1_000)
    expect([worst, worstSum].map((difference) => difference < tolerance)).toEqual([true, true])
    console.info(`${trees} trees of depth ${depth}: at most ${worst} from xgboost, ${worstSum} from the log odds`)
  })
})
