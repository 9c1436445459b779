import { expect, test } from 'vitest'
import { roundHalfEven } from '../../../features/simulator/payment-rows.ts'

test('half a cent goes to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, 2.4, 2.6, 3, 1234.5].map(roundHalfEven)).toEqual([0, 2, 2, 2, 3, 3, 1234])
})
