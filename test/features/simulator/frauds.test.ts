import { expect, test } from 'vitest'
import { customersFallenOn, terminalsFallenOn } from '../../../features/simulator/frauds.ts'
import { generatePayments, worldOf } from '../../../features/simulator/payments.ts'

const world = worldOf({ customers: 80, terminals: 150, days: 60, radius: 12 })

test('each scenario by its definition, a later one overwriting', () => {
  const columns = generatePayments(world)
  const terminals = Array.from({ length: world.days }, (_, day) => terminalsFallenOn(day, world))
  const customers = Array.from({ length: world.days }, (_, day) => customersFallenOn(day, world))
  const counts = [0, 0, 0, 0]
  for (let row = 0; row < columns.length; row += 1) {
    const day = columns.day[row] ?? 0
    const terminal = columns.terminal[row] ?? 0
    const customer = columns.customer[row] ?? 0
    const starts = (length: number) =>
      Array.from({ length: Math.min(length, day + 1) }, (_, i) => day - i).filter((start) => start < world.days - 1)
    const terminalFell = starts(28).some((start) => terminals[start]?.includes(terminal))
    const customerFell = starts(14).some((start) => customers[start]?.includes(customer))
    const scenario = columns.scenario[row] ?? 0
    counts[scenario] = (counts[scenario] ?? 0) + 1
    if (scenario === 3) expect(customerFell).toBe(true)
    else if (terminalFell) expect(scenario).toBe(2)
    else expect(scenario).toBe((columns.cents[row] ?? 0) > 22_000 ? 1 : 0)
  }
  expect(counts.every((count) => count > 0)).toBe(true)
})

test('who falls goes on beyond the last day', () => {
  expect(terminalsFallenOn(world.days + 5, world)).toHaveLength(2)
  expect(customersFallenOn(world.days + 5, world)).toHaveLength(3)
})
