import { expect, it } from 'vitest'
import { expressionText } from '../../src/compile/expression-text.ts'
import { order } from '../define/support/shop.ts'
import * as define from '../../src/define/expression.ts'

const a = define.featureReference('a', true)

it.each([
  [define.coalesce(define.ratio(define.eventField(order, 'amountMinor'), a), 0), 'coalesce(event.amountMinor ÷ a, 0)'],
  [define.subtract(define.add(a, 1), define.multiply(a, 2)), '(a + 1) − (a × 2)'],
  [define.floor(define.modulo(a, 7)), 'floor(a mod 7)'],
  [define.lessOrEqual(define.less(a, 1), define.equal(a, -1)), '(a < 1) ≤ (a = -1)'],
])('an expression reads as it was meant: %#', ({ tree }, text) => {
  expect(expressionText(tree)).toBe(text)
})
