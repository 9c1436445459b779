import { getPriority, setPriority } from 'node:os'
import { expect, it } from 'vitest'
import { giveWay } from '../../../../src/app/roles/lifecycle/give-way.ts'

it('a process gives way to others, and keeps a lower priority that it was started with', () => {
  const before = getPriority()
  giveWay()
  expect(getPriority()).toBe(Math.max(before, 5))
  const lowest = 19
  setPriority(lowest)
  giveWay()
  expect(getPriority(), 'to raise it takes root').toBe(lowest)
})
