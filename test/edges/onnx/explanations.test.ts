import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it, onTestFinished } from 'vitest'
import { probabilityOf, type Explainer } from '../../../src/core/explainer.ts'
import { createTreeShap } from '../../../src/core/tree-shap.ts'
import type { TreeEnsemble } from '../../../src/core/tree-ensemble.ts'
import { explanationsOf } from '../../../src/edges/onnx/explanations.ts'
import { loadExplanations, loadScorer } from '../../../src/edges/onnx/load.ts'
import { modelManifestSchema } from '../../../src/edges/onnx/manifest.ts'
import { readTrees } from '../../../src/edges/onnx/tree-ensemble.ts'
import { chance, randomEnsemble, randomVector, type EnsembleShape } from '../../../scripts/bench/random-trees.ts'
import { linearModel, treeModel, type TreeModelOptions } from '../../support/onnx-model.ts'
import { manifestFor, modelsFolder, services, writeModel } from './model-folder.ts'

const width = 3
const shape = { trees: 3, depth: 4, width, stops: 0.2 }
const manifestOf = (column: number) => ({
  features: ['a', 'b', 'c'],
  input: { name: 'features', type: 'float32' as const, shape: ['rows', width] },
  probability: { output: 'probabilities', column },
})

function reasonOf(model: Uint8Array, column = 1): string {
  const found = readTrees(model, manifestOf(column))
  return found.kind === 'unavailable' ? found.reason : 'available'
}

async function scoresOf(model: Uint8Array, vectors: readonly Float32Array[], column: number): Promise<number[]> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 4 })
  onTestFinished(() => session.release())
  const input = Float32Array.from(vectors.flatMap((vector) => [...vector]))
  const { probabilities } = await session.run({ features: new Tensor('float32', input, [vectors.length, width]) })
  const data = probabilities?.data as Float32Array
  return vectors.map((_, row) => data[row * (data.length / vectors.length) + column] ?? NaN)
}

describe('trees read from an ONNX file', () => {
  it.each([
    ['classifier', 1],
    ['regressor', 0],
  ] as const)('score as ONNX Runtime does, in every mode, with missing values: %s', async (as, column) => {
    const shapes = fc.record({ trees: fc.integer({ min: 1, max: 4 }), depth: fc.integer({ min: 0, max: 5 }) })
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer(), async (some, seed) => {
        const random = chance(seed)
        const mixed: EnsembleShape = { ...some, width, stops: 0.2, coarse: true, anyMode: true }
        const ensemble = randomEnsemble(mixed, random)
        const model = treeModel(ensemble, { as })
        const found = readTrees(model, manifestOf(column))
        if (found.kind === 'unavailable') throw new Error(found.reason)
        expect(sortedTrees(found.ensemble)).toEqual(sortedTrees(float32(ensemble)))
        const vectors = Array.from({ length: 20 }, () => randomVector(mixed, random, 0.2))
        const shap = createTreeShap(found.ensemble)
        for (const [row, score] of (await scoresOf(model, vectors, column)).entries()) {
          const own = probabilityOf(shap.base, shap.contributions(vectors[row] ?? new Float32Array()))
          expect(Math.abs(own - score)).toBeLessThan(1e-6)
        }
      }),
      { numRuns: 30 },
    )
  })

  const ensemble = randomEnsemble(shape, chance(3))
  const changed = (options: TreeModelOptions) => treeModel(ensemble, options)
  it.each<[string, Uint8Array, number, string]>([
    ['a model without trees', linearModel({ weights: [1, 2, 3] }), 0, 'the model is no tree ensemble'],
    ['no covers', changed({ cover: null }), 1, 'no covers'],
    ['covers that say nothing', changed({ cover: new Array(200).fill(1) as number[] }), 1, 'do not add up'],
    ['another link', changed({ postTransform: 'NONE' }), 1, 'by NONE'],
    ['the probability of no fraud', changed({}), 0, 'not the probability of the second class'],
    ['a sum that goes elsewhere', changed({ as: 'regressor', then: ['Exp'] }), 0, 'something else than a Sigmoid'],
    ['something behind the sigmoid', changed({ as: 'regressor', then: ['Sigmoid', 'Sqrt'] }), 0, 'something else'],
    ['no protobuf', Uint8Array.of(255, 255), 1, 'no number at byte 0'],
  ])('say why they are not explained: %s', (_what, model, column, reason) => {
    expect(reasonOf(model, column)).toContain(reason)
  })

  it('never throws, whatever the bytes', () => {
    const model = changed({})
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, byte) => {
        const broken = model.slice()
        broken[at] = byte
        expect(() => readTrees(broken, manifestOf(1))).not.toThrow()
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('explanations of a model', () => {
  it('the shipped model: base and contributions are the log odds of its score', async () => {
    const explanations = await loadExplanations({ modelsDir: 'models', name: 'fraud', version: '1' })
    if (explanations.kind === 'unavailable') throw new Error(explanations.reason)
    const { explainer } = explanations
    const manifest = modelManifestSchema.parse(JSON.parse(readFileSync('models/fraud/1/manifest.json', 'utf8')))
    expect(explainer.features).toEqual(manifest.features)
    let compared = 0
    for (const [row, vector] of manifest.golden.vectors.entries()) {
      const logOdds = logOddsOf(explainer, vector)
      const score = manifest.golden.scores[row] ?? NaN
      // A float32 probability near 1 tells its log odds to no more digits than this.
      const rounding = 2 ** -23 / (score * (1 - score))
      expect(Math.abs(logOdds - Math.log(score / (1 - score)))).toBeLessThan(1e-5 + rounding)
      if (rounding < 1e-4) compared += 1
    }
    expect(compared).toBeGreaterThan(10)
  })

  it('a model that is no ensemble is loaded, and says that it cannot be explained', async () => {
    const modelsDir = modelsFolder()
    writeModel(modelsDir)
    const scorer = await loadScorer({ modelsDir, name: 'fraud', version: '1', services })
    onTestFinished(() => scorer.close())
    expect(scorer.explanations).toEqual({ kind: 'unavailable', reason: 'the model is no tree ensemble' })
  })

  it('trees that do not give the golden scores explain nothing', () => {
    const model = treeModel(randomEnsemble(shape, chance(5)))
    const base = manifestFor(model)
    const manifest = modelManifestSchema.parse({
      ...base,
      outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 2] }],
      probability: { output: 'probabilities', column: 1 },
    })
    const explanations = explanationsOf(model, manifest)
    expect(explanations.kind === 'unavailable' && explanations.reason).toContain('differ by')
  })

  it('carries what the manifest knows of the features over the training data', () => {
    const ensemble = randomEnsemble(shape, chance(5))
    const model = treeModel(ensemble)
    const base = manifestFor(model)
    const shap = createTreeShap(ensemble)
    const scores = base.golden.vectors.map((vector) =>
      probabilityOf(shap.base, shap.contributions(Float32Array.from(vector))),
    )
    const manifest = modelManifestSchema.parse({
      ...base,
      outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 2] }],
      probability: { output: 'probabilities', column: 1 },
      golden: { ...base.golden, scores },
      featureStats: { amount: { mean: 50.5, median: 40 }, risk: { mean: 0.1, median: 0 } },
    })
    const explanations = explanationsOf(model, manifest)
    if (explanations.kind === 'unavailable') throw new Error(explanations.reason)
    expect(explanations.explainer.stats).toEqual([{ mean: 50.5, median: 40 }, null, { mean: 0.1, median: 0 }])
  })
})

function logOddsOf(explainer: Explainer, vector: readonly number[]): number {
  return explainer.contributions(Float32Array.from(vector)).reduce((sum, one) => sum + one, explainer.base)
}

/** As a file holds it. */
function float32(ensemble: TreeEnsemble): TreeEnsemble {
  const rounded = (list: Float64Array) => Float64Array.from(Float32Array.from(list))
  return {
    ...ensemble,
    base: Math.fround(ensemble.base),
    value: rounded(ensemble.value),
    cover: rounded(ensemble.cover),
  }
}

/** The trees as values that are equal when they are the same trees in another order. */
function sortedTrees(ensemble: TreeEnsemble): string[] {
  const { starts, base } = ensemble
  const trees = [...starts.subarray(0, -1)].map((start, i) => {
    const end = starts[i + 1] ?? start
    const of = (list: ArrayLike<number>) => Array.from(list).slice(start, end)
    const isLeaf = of(ensemble.feature).map((feature) => feature < 0)
    const compared = (list: ArrayLike<number>) => of(list).map((value, node) => (isLeaf[node] === true ? 0 : value))
    return JSON.stringify([
      of(ensemble.parent).map((above) => (above < 0 ? -1 : above - start)),
      of(ensemble.whereTrue),
      of(ensemble.feature),
      compared(ensemble.mode),
      compared(ensemble.threshold),
      compared(ensemble.missingTrue),
      of(ensemble.value),
      of(ensemble.cover),
    ])
  })
  return [String(base), ...trees.sort()]
}
