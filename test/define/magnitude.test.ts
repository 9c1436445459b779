import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { order } from './support/shop.ts'
import { compileExpression } from '../../src/engine/expression.ts'
import {
  add,
  coalesce,
  divide,
  equal,
  featureReference,
  floor,
  less,
  modulo,
  multiply,
  ratio,
  eventField,
  subtract,
  type Typed,
} from '../../src/define/expression.ts'
import { defineDerived, defineService } from '../../src/define/feature-set.ts'
import { testSeed as seed } from '../support/seed.ts'

const names = ['count', 'mean', 'empty']
const nonZero = fc.oneof(
  fc.constantFrom(1, -1, 7, 0.1, 1e-300, 5e-324, 1e300, Number.MAX_VALUE),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => value !== 0),
)
const leaf: fc.Arbitrary<Typed> = fc.oneof(
  fc.constant(featureReference('count', false)),
  fc.constant(featureReference('mean', false)),
  fc.constant(featureReference('empty', true)),
  fc.constant(eventField(order, 'amountMinor')),
  nonZero.map((value) => add(value, 0)),
)
const { expression } = fc.letrec<{ expression: Typed }>((tie) => {
  const pair = fc.tuple(tie('expression'), tie('expression'))
  return {
    expression: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      ...[add, subtract, multiply, ratio, less, equal].map((operation) =>
        pair.map(([left, right]): Typed => operation(left, right)),
      ),
      ...[divide, modulo].map((operation) =>
        fc.tuple(tie('expression'), nonZero).map(([value, by]): Typed => operation(value, by)),
      ),
      tie('expression').map((value): Typed => floor(value)),
      pair.map(([value, otherwise]): Typed => coalesce(value, otherwise as Typed<false>)),
    ),
  }
})
const whole = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

describe('the magnitude of an expression', () => {
  it('holds every value, and a value is missing only where the definition says so', () => {
    let [present, near] = [0, 0]
    fc.assert(
      fc.property(expression, whole, whole, fc.option(whole), ({ tree, nullable, magnitude }, sum, count, empty) => {
        const evaluate = compileExpression(tree, (name) => names.indexOf(name))
        const value = evaluate([count, sum / (Math.abs(count) + 1), empty], { amountMinor: Math.abs(sum), timeMs: 0 })
        if (value === null) {
          expect(nullable).toBe(true)
          return
        }
        present += 1
        expect(Math.abs(value)).toBeLessThanOrEqual(magnitude.most)
        if (value !== 0) expect(Math.abs(value)).toBeGreaterThanOrEqual(magnitude.least)
        if (!nullable) near += 1
      }),
      { seed, numRuns: 20_000 },
    )
    expect(present).toBeGreaterThan(5_000)
    expect(near).toBeGreaterThan(1_000)
  })

  it('leaves a percentage of two aggregates alone, and calls a product that overflows nullable', () => {
    const share = coalesce(ratio(featureReference('mean', false), featureReference('count', false)), 0)
    expect(multiply(share, 100).nullable).toBe(false)
    expect(multiply(share, 1e300).nullable).toBe(true)
    expect(divide(share, 1e-300).nullable).toBe(true)
    expect(coalesce(share, multiply(1e200, 1e200)).nullable, 'the default itself overflows').toBe(true)
  })

  it('refuses an element of a vector that can leave the finite numbers, and takes it with a default', () => {
    const huge = multiply(featureReference('count', false), 1e300)
    const service = (element: Typed<false>) => () =>
      defineService({ name: 'scoring', vector: [defineDerived('huge', 'too much', element)] })
    expect(service(huge)).toThrow(
      'service "scoring": huge can be missing or leave the finite numbers; give it a default with coalesce',
    )
    expect(service(coalesce(huge, 0))).not.toThrow()
  })
})
