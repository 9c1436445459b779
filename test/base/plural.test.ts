import { expect, test } from 'vitest'
import { pluralOf } from '../../src/base/plural.ts'

test.each([
  ['account', 'accounts'],
  ['city', 'cities'],
  ['customer_day', 'customer_days'],
  ['address', 'addresses'],
  ['box', 'boxes'],
  ['branch', 'branches'],
])('several of a %s are %s', (noun, several) => {
  expect(pluralOf(noun)).toBe(several)
})
