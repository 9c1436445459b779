import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { referenceExpression } from '../../src/compile/reference/expression.ts'
import { compileExpression, featuresOf, type Expression } from '../../src/engine/expression.ts'
import { order } from '../define/support/shop.ts'
import * as define from '../../src/define/expression.ts'
import { testSeed as seed } from '../support/seed.ts'

const request = { amountMinor: 1_250, timeMs: Date.UTC(2026, 5, 1, 12) }
const names = ['a', 'b', 'nothing']

function evaluate(tree: Expression, a: number | null = null, b: number | null = null, timeMs = request.timeMs) {
  return compileExpression(tree, (name) => names.indexOf(name))([a, b, null], { ...request, timeMs })
}

const a = define.featureReference('a', true)
const b = define.featureReference('b', true)

describe('an expression', () => {
  const operations = {
    add: define.add(a, b),
    subtract: define.subtract(a, b),
    multiply: define.multiply(a, b),
    ratio: define.ratio(a, b),
    less: define.less(a, b),
    lessOrEqual: define.lessOrEqual(a, b),
    equal: define.equal(a, b),
  }

  it.each(Object.entries(operations))('%s is null when either side is', (_name, { tree }) => {
    expect(evaluate(tree, null, 1)).toBeNull()
    expect(evaluate(tree, 1, null)).toBeNull()
    expect(evaluate(tree, null, null)).toBeNull()
    expect(evaluate(tree, 1, 1)).not.toBeNull()
  })

  it('lets null through floors, roots, quotients and remainders, and stops it at coalesce', () => {
    for (const inner of [define.floor(a), define.divide(a, 2), define.modulo(a, 2)]) {
      expect(evaluate(inner.tree)).toBeNull()
      expect(evaluate(define.coalesce(inner, 7).tree)).toBe(7)
      expect(evaluate(define.coalesce(inner, 7).tree, 0)).toBe(0)
    }
    expect(evaluate({ op: 'square_root', value: a.tree })).toBeNull()
    expect(evaluate({ op: 'square_root', value: a.tree }, -1)).toBeNull()
    expect(evaluate({ op: 'square_root', value: a.tree }, 9)).toBe(3)
    expect(evaluate({ op: 'coalesce', values: [a.tree, b.tree] })).toBeNull()
    expect(evaluate({ op: 'coalesce', values: [a.tree, b.tree] }, null, 4)).toBe(4)
  })

  it('has no quotient by zero, of either sign, and no remainder', () => {
    for (const zero of [0, -0]) {
      expect(evaluate(define.ratio(a, b).tree, 5, zero)).toBeNull()
      expect(evaluate(define.ratio(a, b).tree, 0, zero)).toBeNull()
      expect(evaluate({ op: 'modulo', left: a.tree, right: b.tree }, 5, zero)).toBeNull()
    }
    expect(evaluate(define.ratio(a, b).tree, 1, 3)).toBe(1 / 3)
  })

  it.each([
    [7, 3, 1],
    [-7, 3, 2],
    [7, -3, -2],
    [-7, -3, -1],
    [6, 3, 0],
    [7.5, 2, 1.5],
  ])('modulo takes the sign of the divisor: %d mod %d is %d', (left, right, remainder) => {
    expect(evaluate(define.modulo(a, right).tree, left)).toBe(remainder)
  })

  it('compares as numbers do', () => {
    const { less, lessOrEqual, equal } = operations
    expect([1, 2, 3].map((n) => evaluate(less.tree, n, 2))).toEqual([1, 0, 0])
    expect([1, 2, 3].map((n) => evaluate(lessOrEqual.tree, n, 2))).toEqual([1, 1, 0])
    expect([1, 2, 3].map((n) => evaluate(equal.tree, n, 2))).toEqual([0, 1, 0])
    expect(evaluate(equal.tree, 0, -0)).toBe(1)
  })

  it('a z-score is the distance from the mean in deviations, and null where one of them says nothing', () => {
    const score = define.zScore(define.eventField(order, 'amountMinor'), a, b).tree
    expect(evaluate(score, 1_000, 100)).toBe(2.5)
    expect(evaluate(score, 1_500, 100)).toBe(-2.5)
    expect(evaluate(score, 1_250, 100)).toBe(0)
    expect(evaluate(score, 1_000, 0), 'all were equal').toBeNull()
    expect(evaluate(score, 1_250, 0), 'and so is this one').toBeNull()
    expect(evaluate(score, null, 100), 'there was none').toBeNull()
    expect(evaluate(score, 1_000, null), 'there was one').toBeNull()
    expect(evaluate(define.coalesce(define.zScore(7, a, b), 0).tree, 1_000, null)).toBe(0)
    // One rounding for the difference and one for the quotient.
    expect(evaluate(define.zScore(0.3, a, b).tree, 0.1, 3)).toBe((0.3 - 0.1) / 3)
  })

  it('a count and a sum with the event itself are never without a mean', () => {
    const counted = define.featureReference('a', false)
    const summed = define.featureReference('b', false)
    const { count, sum, mean } = define.includingThisEvent(counted, summed, define.eventField(order, 'amountMinor'))
    const read = (payments: number, spent: number) =>
      [count, sum, mean].map(({ tree }) => evaluate(tree, payments, spent))
    expect(read(0, 0)).toEqual([1, 1_250, 1_250])
    expect(read(3, 1_000)).toEqual([4, 2_250, 562.5])
    expect(read(2, 0)).toEqual([3, 1_250, 1_250 / 3])
    expect([count.nullable, sum.nullable, mean.nullable]).toEqual([false, false, false])
  })

  it('knows the hour and the weekday in UTC, before 1970 too', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (timeMs) => {
        const date = new Date(timeMs)
        expect(evaluate(define.hourOfDay(define.eventTime).tree, null, null, timeMs)).toBe(date.getUTCHours())
        expect(evaluate(define.dayOfWeek(define.eventTime).tree, null, null, timeMs)).toBe(date.getUTCDay())
      }),
      { seed, numRuns: 2_000 },
    )
  })

  it('means the same to the walker that shares nothing with the closures', () => {
    const leaf: fc.Arbitrary<Expression> = fc.oneof(
      fc.constantFrom(...names).map((name) => ({ op: 'feature' as const, name })),
      fc.constantFrom('amountMinor' as const, 'timeMs' as const).map((field) => ({ op: 'request' as const, field })),
      fc.oneof(fc.constantFrom(0, -0, 1, -1), fc.double({ noNaN: true, noDefaultInfinity: true })).map((value) => ({
        op: 'constant' as const,
        value,
      })),
    )
    const { tree } = fc.letrec<{ tree: Expression }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        leaf,
        fc.record({ op: fc.constantFrom('floor' as const, 'square_root' as const), value: tie('tree') }),
        fc.record({
          op: fc.constant('coalesce' as const),
          values: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
        }),
        fc.record({
          op: fc.constantFrom(
            ...(['add', 'subtract', 'multiply', 'ratio', 'modulo', 'less', 'less_or_equal', 'equal'] as const),
          ),
          left: tie('tree'),
          right: tie('tree'),
        }),
      ),
    }))
    const value = fc.option(fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })))
    fc.assert(
      fc.property(tree, value, value, (expression, one, other) => {
        const walked = referenceExpression(expression, { a: one, b: other, nothing: null }, request)
        expect(Object.is(evaluate(expression, one, other), walked)).toBe(true)
        expect(featuresOf(expression).every((name) => names.includes(name))).toBe(true)
      }),
      { seed, numRuns: 1_000 },
    )
  })
})
