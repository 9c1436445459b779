import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gaussLegendre } from '../../../src/scoring/explain/gauss-legendre.ts'
import { createTreeShap } from '../../../src/scoring/explain/tree-shap.ts'
import { chance, randomEnsemble, randomVector, type EnsembleShape } from '../../../scripts/models/random-trees.ts'
import { expectedValue, shapleyValues } from './support/tree-ensembles.ts'

const shapes: fc.Arbitrary<EnsembleShape> = fc.record({
  trees: fc.integer({ min: 1, max: 3 }),
  depth: fc.integer({ min: 0, max: 8 }),
  width: fc.integer({ min: 1, max: 8 }),
  stops: fc.constantFrom(0, 0.2, 0.5),
  coarse: fc.boolean(),
  anyMode: fc.boolean(),
  empty: fc.constantFrom(0, 0.1),
})

describe('exact TreeSHAP', () => {
  it('is what the definition of Shapley values says, over every set of known features', () => {
    fc.assert(
      fc.property(shapes, fc.integer(), fc.constantFrom(0, 0.3), (shape, seed, missing) => {
        const random = chance(seed)
        const ensemble = randomEnsemble(shape, random)
        const shap = createTreeShap(ensemble)
        for (let row = 0; row < 3; row += 1) {
          const vector = randomVector(shape, random, missing)
          const expected = shapleyValues(ensemble, vector)
          for (const [i, contribution] of shap.contributions(vector).entries()) {
            expect(Math.abs(contribution - (expected[i] ?? NaN))).toBeLessThan(1e-12)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it('adds up: base and contributions are the answer, also at depth 30', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 20, max: 30 }), (seed, depth) => {
        const shape = { trees: 2, depth, width: 40, stops: 0.45 }
        const random = chance(seed)
        const ensemble = randomEnsemble(shape, random)
        const shap = createTreeShap(ensemble)
        const vector = randomVector(shape, random)
        const sum = shap.contributions(vector).reduce((total, one) => total + one, shap.base)
        const everything = new Set(Array.from({ length: shape.width }, (_, i) => i))
        expect(Math.abs(sum - expectedValue(ensemble, vector, everything))).toBeLessThan(1e-11)
        expect(Math.abs(shap.base - expectedValue(ensemble, vector, new Set()))).toBeLessThan(1e-11)
      }),
      { numRuns: 50 },
    )
  })

  it('compares as float32 does, and sends what is missing where the node says', () => {
    const random = chance(1)
    const ensemble = randomEnsemble({ trees: 1, depth: 1, width: 1 }, random)
    const threshold = Math.fround(0.1)
    const with1 = { ...ensemble, threshold: new Float32Array(3).fill(threshold), value: Float64Array.of(0, 5, -5) }
    const answer = (value: number, missing: number) => {
      const shap = createTreeShap({ ...with1, missingTrue: new Uint8Array(3).fill(missing) })
      return shap.base - ensemble.base + (shap.contributions(Float32Array.of(value))[0] ?? NaN)
    }
    // As doubles, 0.1 is below its float32.
    expect(answer(0.1, 0)).toBeCloseTo(-5, 12)
    expect(answer(0.0999, 0)).toBeCloseTo(5, 12)
    expect(answer(NaN, 0)).toBeCloseTo(-5, 12)
    expect(answer(NaN, 1)).toBeCloseTo(5, 12)
  })

  it('answers the same bits whatever it answered before', () => {
    const shape = { trees: 5, depth: 6, width: 10, stops: 0.1 }
    const random = chance(7)
    const shap = createTreeShap(randomEnsemble(shape, random))
    const vectors = Array.from({ length: 20 }, () => randomVector(shape, random))
    const first = vectors.map((vector) => [...shap.contributions(vector)])
    const again = vectors.toReversed().map((vector) => [...shap.contributions(vector)])
    expect(again.toReversed()).toEqual(first)
  })
})

describe('Gauss-Legendre on [0, 1]', () => {
  it('integrates every power up to twice the points minus one', () => {
    for (let size = 1; size <= 20; size += 1) {
      const { points, weights } = gaussLegendre(size)
      for (let power = 0; power < 2 * size; power += 1) {
        const sum = points.reduce((total, point, i) => total + (weights[i] ?? NaN) * point ** power, 0)
        expect(Math.abs(sum - 1 / (power + 1))).toBeLessThan(1e-14)
      }
    }
  })
})
