import { expect, test } from 'vitest'
import { countEqual } from '../../../scripts/bench/peers/agreement.ts'
import type { SharedFeature } from '../../../scripts/bench/peers/contestant.ts'

const paymentsOfDay: SharedFeature = { name: 'count_1d', ours: 'spend__count_1d', plus: 'one' }
const spentInDay: SharedFeature = { name: 'sum_1d', ours: 'spend__sum_1d', plus: 'amount' }
const ours = new Map([
  ['first', { amount: 700, features: { spend__count_1d: 0, spend__sum_1d: null } }],
  ['second', { amount: 50, features: { spend__count_1d: 1, spend__sum_1d: 700 } }],
  ['only ours', { amount: 9, features: { spend__count_1d: 2, spend__sum_1d: 750 } }],
])

test('a window that holds its own payment agrees with one that leaves it out when nothing else differs', () => {
  const theirs = new Map([
    ['first', { count_1d: 1, sum_1d: 700 }],
    ['second', { count_1d: 2, sum_1d: 750 }],
  ])
  expect(countEqual(paymentsOfDay, ours, theirs)).toEqual({ feature: 'count_1d', compared: 2, equal: 2 })
  expect(countEqual(spentInDay, ours, theirs)).toEqual({ feature: 'sum_1d', compared: 2, equal: 2 })
})

test('a payment counts as compared but not as equal when the values differ or one is missing', () => {
  const theirs = new Map([
    ['first', { count_1d: 0, sum_1d: 700 }],
    ['second', { count_1d: 2 }],
  ])
  expect(countEqual(paymentsOfDay, ours, theirs)).toMatchObject({ compared: 2, equal: 1 })
  expect(countEqual(spentInDay, ours, theirs)).toMatchObject({ compared: 2, equal: 1 })
})

test('a payment that one of the two programs does not have is not compared', () => {
  const theirs = new Map([['only theirs', { count_1d: 1, sum_1d: 1 }]])
  expect(countEqual(paymentsOfDay, ours, theirs)).toMatchObject({ compared: 0, equal: 0 })
})
