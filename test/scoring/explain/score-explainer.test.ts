import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scoreOf } from '../../../src/scoring/explain/explainer.ts'
import { createScoreExplainer } from '../../../src/scoring/explain/score-explainer.ts'
import {
  constantFormula,
  leavesFormula,
  logistic,
  logisticFormula,
  plus,
  times,
  type ScoreFormula,
  type TreeForest,
} from '../../../src/scoring/explain/score-formula.ts'
import { countCovers, isCovers } from '../../../src/scoring/explain/tree-covers.ts'
import { createTreeShap } from '../../../src/scoring/explain/tree-shap.ts'
import { chance, randomEnsemble, randomVector } from '../../../scripts/models/random-trees.ts'
import { expectedValue } from './support/tree-ensembles.ts'

const width = 4
const shape = { trees: 3, depth: 4, width, stops: 0.2, anyMode: true, coarse: true }

/** A forest of two columns, and the ensembles that it is made of. */
function drawn(seed: number) {
  const random = chance(seed)
  const one = { ...randomEnsemble(shape, random), base: 0 }
  const other = { ...one, value: one.value.map((value) => value * 3 - value * value) }
  const forest: TreeForest = { ...one, leaves: [one.value, other.value] }
  return { forest, ensembles: [one, other], vectors: Array.from({ length: 5 }, () => randomVector(shape, random, 0.2)) }
}
const everything = new Set(Array.from({ length: width }, (_, i) => i))

describe('contributions to a formula of trees', () => {
  it('are those of the trees, as often as they are taken, and only in log odds where the score is a logistic function', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.double({ min: -3, max: 3, noNaN: true }), (a, b, factor) => {
        const [left, right] = [drawn(a), drawn(b)]
        const inside = plus(
          plus(constantFormula(0.5), leavesFormula(left.forest, 0, factor)),
          plus(leavesFormula(left.forest, 1), times(leavesFormula(right.forest, 1), -2)),
        )
        const rest = plus(constantFormula(1), times(logisticFormula(inside), -1))
        const expected = [left.ensembles[0], left.ensembles[1], right.ensembles[1]].map((one) =>
          createTreeShap(one ?? (left.forest as never)),
        )
        for (const [formula, unit, sign] of [
          [inside, 'probability', 1],
          [logisticFormula(inside), 'log_odds', 1],
          [rest, 'log_odds', -1],
        ] as const) {
          const explainer = createScoreExplainer(formula, width)
          expect([explainer.unit, explainer.method]).toEqual([unit, 'exact'])
          for (const vector of left.vectors) {
            const own = [...explainer.contributions(vector)]
            const [x, y, z] = expected.map((shap) => [...shap.contributions(vector)])
            for (const [i, one] of own.entries()) {
              const wanted = factor * (x?.[i] ?? NaN) + (y?.[i] ?? NaN) - 2 * (z?.[i] ?? NaN)
              expect(one).toBeCloseTo(sign * wanted, 10)
            }
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('add up to the score behind any calibration, also behind one of another', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        const [left, right] = [drawn(a), drawn(b)]
        const platt = (of: ScoreFormula) => logisticFormula(plus(constantFormula(-0.2), times(of, 1.7)))
        const twice = platt(logisticFormula(leavesFormula(left.forest, 0)))
        const formula = times(plus(twice, platt(leavesFormula(right.forest, 1))), 0.5)
        const explainer = createScoreExplainer(formula, width)
        expect([explainer.unit, explainer.method]).toEqual(['probability', 'propagated'])
        for (const vector of left.vectors) {
          const [f, g] = [left.ensembles[0], right.ensembles[1]].map((one) =>
            one === undefined ? NaN : expectedValue(one, vector, everything),
          )
          const score = (logistic(1.7 * logistic(f ?? NaN) - 0.2) + logistic(1.7 * (g ?? NaN) - 0.2)) / 2
          expect(scoreOf(explainer, explainer.contributions(vector))).toBeCloseTo(score, 10)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('covers counted over rows', () => {
  it('are covers, and make the base the mean over these rows; a branch that no row takes has no say', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 30 }), (seed, rows) => {
        const { forest, ensembles } = drawn(seed)
        const random = chance(seed + 1)
        const vectors = Array.from({ length: rows }, () => randomVector(shape, random, 0.2))
        const cover = countCovers(forest, Float32Array.from(vectors.flatMap((vector) => [...vector])))
        expect(isCovers(forest, cover, 0)).toBe(true)
        const explainer = createScoreExplainer(leavesFormula({ ...forest, cover }, 0), width)
        const answers = vectors.map((vector) => expectedValue(ensembles[0] ?? (forest as never), vector, everything))
        expect(explainer.base).toBeCloseTo(answers.reduce((sum, one) => sum + one, 0) / rows, 10)
        for (const vector of vectors) {
          expect(explainer.contributions(vector).every(Number.isFinite)).toBe(true)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('that do not add up, or are those of other trees, are none', () => {
    const { forest } = drawn(5)
    const cover = countCovers(forest, new Float32Array(width * 3))
    expect(isCovers(forest, cover, 0)).toBe(true)
    expect(isCovers(forest, cover.slice(1), 0)).toBe(false)
    expect(isCovers(forest, new Float64Array(cover.length).fill(1), 0.01)).toBe(false)
    expect(isCovers(forest, new Float64Array(cover.length), 0)).toBe(false)
  })
})
