import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it, onTestFinished } from 'vitest'
import { scoreOf, type Explainer } from '../../../src/scoring/explain/explainer.ts'
import { createScoreExplainer } from '../../../src/scoring/explain/score-explainer.ts'
import { createTreeShap } from '../../../src/scoring/explain/tree-shap.ts'
import type { ScoreFormula, TreeForest } from '../../../src/scoring/explain/score-formula.ts'
import type { TreeEnsemble } from '../../../src/scoring/explain/tree-ensemble.ts'
import { explanationsOf } from '../../../src/edges/onnx/explanations.ts'
import { loadExplanations, loadScorer } from '../../../src/edges/onnx/load.ts'
import { modelManifestSchema } from '../../../src/edges/onnx/manifest.ts'
import { adaptModel } from '../../../src/edges/onnx/adaptation.ts'
import { readGraph } from '../../../src/edges/onnx/graph.ts'
import { thresholdOf } from '../../../src/edges/onnx/trees/forest.ts'
import { readScore, type ReadScore } from '../../../src/edges/onnx/trees/read-score.ts'
import { chance, randomEnsemble, randomVector, type EnsembleShape } from '../../../scripts/models/random-trees.ts'
import { linearModel, treeModel, type TreeModelOptions } from '../../support/onnx-model.ts'
import { manifestFor, modelsFolder, services, writeModel } from './model-folder.ts'

const width = 3
const shape = { trees: 3, depth: 4, width, stops: 0.2 }

/** What is read of a model that takes `features` and answers `probabilities`. */
function readingOf(model: Uint8Array, column = 1) {
  const form = { graph: readGraph(model), input: 'features', output: 'probabilities' }
  return readScore(form, { width, column })
}

function reasonOf(model: Uint8Array, column = 1): string {
  const found = readingOf(model, column)
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
  const shapes = fc.record({ trees: fc.integer({ min: 1, max: 4 }), depth: fc.integer({ min: 0, max: 5 }) })
  /** By name: a form that exporters write, the column of the score, and what contributions are measured in. */
  const forms: Readonly<Record<string, readonly [TreeModelOptions, number, string]>> = {
    'a classifier with leaves for the second class': [{}, 1, 'log_odds'],
    'and the probability of the first': [{}, 0, 'log_odds'],
    'a classifier with leaves for both classes': [{ votes: 'both' }, 1, 'log_odds'],
    'that start from nothing': [{ votes: 'both', baseValues: [] }, 1, 'log_odds'],
    'that start from one value': [{ votes: 'both', baseValues: [0.5] }, 1, 'log_odds'],
    'and the first of these': [{ votes: 'both', baseValues: [0.5] }, 0, 'log_odds'],
    'whose sums go through SOFTMAX': [{ votes: 'both', postTransform: 'SOFTMAX' }, 1, 'log_odds'],
    'whose first class is asked': [{ votes: 'both', postTransform: 'SOFTMAX' }, 0, 'log_odds'],
    'a classifier whose sums are the answer': [{ postTransform: 'NONE' }, 1, 'probability'],
    'for the first class, the opposite': [{ postTransform: 'NONE' }, 0, 'probability'],
    'a regressor and a Sigmoid': [{ as: 'regressor' }, 0, 'log_odds'],
    'a regressor of the mean of its trees': [{ as: 'regressor', aggregate: 'AVERAGE' }, 0, 'log_odds'],
    'a regressor that answers its sum': [{ as: 'regressor', then: ['Identity'] }, 0, 'probability'],
    'version 5': [{ as: 'version 5' }, 0, 'log_odds'],
    'version 5, of the mean of its trees': [{ as: 'version 5', aggregate: 'AVERAGE' }, 0, 'log_odds'],
  }
  it.each(Object.entries(forms))('score as ONNX Runtime does: %s', async (_form, [options, column, unit]) => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer(), fc.boolean(), async (some, seed, isPositive) => {
        const random = chance(seed)
        const mixed: EnsembleShape = { ...some, width, stops: 0.2, coarse: true, anyMode: true }
        const drawn = randomEnsemble(mixed, random)
        const ensemble = isPositive ? { ...drawn, value: drawn.value.map((value) => Math.abs(value)) } : drawn
        const model = treeModel(ensemble, options)
        const found = readingOf(model, column)
        if (found.kind === 'unavailable') throw new Error(found.reason)
        const [forest] = found.forests
        if (forest === undefined) throw new Error('there are trees')
        if (options.as !== 'version 5' && options.votes !== 'both')
          expect(sortedTrees([forest])).toEqual(sortedTrees([ensemble]))
        const vectors = Array.from({ length: 20 }, () => randomVector(mixed, random, 0.2))
        const explainer = createScoreExplainer(withCover(found, evenCover(forest)), width)
        expect(explainer.method).toBe('exact')
        expect(explainer.unit).toBe(unit)
        for (const [row, score] of (await scoresOf(model, vectors, column)).entries()) {
          const own = scoreOf(explainer, explainer.contributions(vectors[row] ?? new Float32Array()))
          expect(Math.abs(own - score)).toBeLessThan(2e-6 * Math.max(1, Math.abs(score)))
        }
      }),
      { numRuns: 12 },
    )
  })

  it('compare doubles as ONNX Runtime does: a threshold between two float32 numbers moves to none of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 0, max: 5 }), async (seed, mode) => {
        const random = chance(seed)
        const drawn = randomEnsemble({ trees: 2, depth: 3, width, stops: 0.1 }, random)
        const threshold = [...drawn.parent.keys()].map(() => random() * 2 - 1)
        const ensemble = { ...drawn, mode: drawn.mode.map(() => mode) }
        const model = treeModel(ensemble, { as: 'version 5', doubles: { threshold } })
        const found = readScore(
          { graph: readGraph(model), input: 'features', output: 'probabilities' },
          { width, column: 0 },
        )
        if (found.kind === 'unavailable') throw new Error(found.reason)
        const [forest] = found.forests
        if (forest === undefined) throw new Error('there are trees')
        // The float32 numbers next to each threshold, where rounding shows.
        const near = threshold.flatMap((one) => [Math.fround(one), thresholdOf(0, one), thresholdOf(1, one)])
        const vectors = near.map((_, i) =>
          Float32Array.from({ length: width }, (_, j) => near[(i * 7 + j * 5) % near.length] ?? 0),
        )
        const explainer = createScoreExplainer(withCover(found, evenCover(forest)), width)
        for (const [row, score] of (await scoresOf(model, vectors, 0)).entries()) {
          const own = scoreOf(explainer, explainer.contributions(vectors[row] ?? new Float32Array()))
          expect(Math.abs(own - score)).toBeLessThan(2e-6)
        }
      }),
      { numRuns: 12 },
    )
  })

  const ensemble = randomEnsemble(shape, chance(3))
  const changed = (options: TreeModelOptions) => treeModel(ensemble, options)
  it.each<[string, Uint8Array, number, string]>([
    ['a model without trees', linearModel({ weights: [1, 2, 3] }), 0, 'the model is no tree ensemble'],
    ['another link', changed({ postTransform: 'PROBIT' }), 1, 'by PROBIT'],
    ['a sum that goes elsewhere', changed({ as: 'regressor', then: ['Sin'] }), 0, 'what Sin does'],
    ['something behind the sigmoid', changed({ as: 'regressor', then: ['Sigmoid', 'Sqrt'] }), 0, 'what Sqrt does'],
  ])('say why they are not explained: %s', (_what, model, column, reason) => {
    expect(reasonOf(model, column)).toContain(reason)
  })

  it.each<[string, TreeModelOptions]>([
    ['no covers', { cover: null }],
    ['covers that say nothing', { cover: new Array(200).fill(1) as number[] }],
  ])('have no covers where the file has %s', (_what, options) => {
    const found = readingOf(changed(options))
    expect(found.kind === 'read' && found.forests.map(({ cover }) => cover)).toEqual([null])
  })

  it('are read to the end or not at all, whatever the bytes', () => {
    const model = changed({})
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, byte) => {
        const broken = model.slice()
        broken[at] = byte
        let graph
        try {
          graph = readGraph(broken)
        } catch {
          return
        }
        expect(() =>
          readScore({ graph, input: 'features', output: 'probabilities' }, { width, column: 1 }),
        ).not.toThrow()
      }),
      { numRuns: 500 },
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
    expect(scorer.explanations).toMatchObject({ kind: 'unavailable', code: 'no_trees' })
  })

  it('trees that do not give the golden scores explain nothing', () => {
    const model = treeModel(randomEnsemble(shape, chance(5)))
    const base = manifestFor(model)
    const manifest = modelManifestSchema.parse({
      ...base,
      outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 2] }],
      probability: { output: 'probabilities', column: 1 },
    })
    const explanations = explanationsOf(adaptModel(model, manifest), manifest)
    expect(explanations.kind === 'unavailable' && explanations.reason).toContain('differ by')
  })

  it('carries what the manifest knows of the features over the training data', () => {
    const ensemble = randomEnsemble(shape, chance(5))
    const model = treeModel(ensemble)
    const base = manifestFor(model)
    const shap = createTreeShap(ensemble)
    const scores = base.golden.vectors.map((vector) =>
      scoreOf({ base: shap.base, unit: 'log_odds' }, shap.contributions(Float32Array.from(vector))),
    )
    const manifest = modelManifestSchema.parse({
      ...base,
      outputs: [{ name: 'probabilities', type: 'float32', shape: ['rows', 2] }],
      probability: { output: 'probabilities', column: 1 },
      golden: { ...base.golden, scores },
      featureStats: { amount: { mean: 50.5, median: 40 }, risk: { mean: 0.1, median: 0 } },
    })
    const explanations = explanationsOf(adaptModel(model, manifest), manifest)
    if (explanations.kind === 'unavailable') throw new Error(explanations.reason)
    expect(explanations.explainer.stats).toEqual([{ mean: 50.5, median: 40 }, null, { mean: 0.1, median: 0 }])
  })
})

function logOddsOf(explainer: Explainer, vector: readonly number[]): number {
  return explainer.contributions(Float32Array.from(vector)).reduce((sum, one) => sum + one, explainer.base)
}

/** The formula with these covers of its only forest. */
function withCover({ formula }: ReadScore, cover: Float64Array): ScoreFormula {
  const changed = (one: ScoreFormula): ScoreFormula => ({
    ...one,
    terms: one.terms.map((term) =>
      term.kind === 'leaves' ? { ...term, forest: { ...term.forest, cover } } : { ...term, of: changed(term.of) },
    ),
  })
  return changed(formula)
}

/** As if as many rows came to every leaf. */
function evenCover({ parent, feature }: TreeForest): Float64Array {
  const cover = Float64Array.from(feature, (element) => (element < 0 ? 1 : 0))
  for (let node = parent.length - 1; node >= 0; node -= 1) {
    const above = parent[node] ?? -1
    if (above >= 0) cover[above] = (cover[above] ?? 0) + (cover[node] ?? 0)
  }
  return cover
}

/** The trees as values that are equal when they are the same trees in another order, in the numbers of a file. */
function sortedTrees(forests: readonly (TreeForest | TreeEnsemble)[]): string[] {
  return forests
    .flatMap((forest) => {
      const { starts } = forest
      const value = 'leaves' in forest ? (forest.leaves[0] ?? new Float64Array()) : forest.value
      return [...starts.subarray(0, -1)].map((start, i) => {
        const end = starts[i + 1] ?? start
        const of = (list: ArrayLike<number>) => Array.from(list).slice(start, end)
        const isLeaf = of(forest.feature).map((feature) => feature < 0)
        const compared = (list: ArrayLike<number>) => of(list).map((one, node) => (isLeaf[node] === true ? 0 : one))
        return JSON.stringify([
          of(forest.parent).map((above) => (above < 0 ? -1 : above - start)),
          ...[of(forest.whereTrue), of(forest.feature), compared(forest.mode), compared(forest.threshold)],
          ...[compared(forest.missingTrue), of(value).map(Math.fround), of(forest.cover ?? []).map(Math.fround)],
        ])
      })
    })
    .sort()
}
