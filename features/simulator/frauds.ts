import { daySeconds, type PaymentRows } from './payment-rows.ts'
import { NumpyRandom } from './numpy-random.ts'
import type { WorldOptions } from './population.ts'
import { PythonRandom } from './python-random.ts'

/** The three ways to cheat, with the numbers of the published definition. */
export const fraudRules = Object.freeze({
  /** Scenario 1: every payment above this is fraud. */
  suspiciousCents: 22_000,
  /** Scenario 2: so many terminals fall each day, and all their payments are fraud for so long. */
  terminalsPerDay: 2,
  terminalDays: 28,
  /** Scenario 3: so many customers fall each day; of their payments over so long, one in three, times five. */
  customersPerDay: 3,
  customerDays: 14,
  customerShare: 3,
  customerFactor: 5,
  /**
   * The largest amount an event may carry. In the published world no payment comes near; among a handful of customers
   * scenario 3 can multiply one again and again.
   */
  centsMax: 10_000_000_000,
})

/** The terminals that fall on this day (scenario 2). Goes on for ever: live traffic asks for days after the last. */
export function terminalsFallenOn(day: number, world: WorldOptions): Uint32Array {
  const random = new NumpyRandom(world.seedOffset + day)
  return random.permutation(world.terminals).subarray(0, fraudRules.terminalsPerDay)
}

/** The customers whose credentials leak on this day (scenario 3). */
export function customersFallenOn(day: number, world: WorldOptions): Uint32Array {
  const random = new NumpyRandom(world.seedOffset + day)
  return random.permutation(world.customers).subarray(0, fraudRules.customersPerDay)
}

/**
 * Marks the frauds of rows in time order and raises the amounts of scenario 3 in place. Answers the scenario of each
 * row, 0 for an honest one. Days from `untilDay` on are only the rest of the windows that began before.
 */
export function markFrauds(rows: PaymentRows, world: WorldOptions, untilDay: number): Uint8Array {
  const scenario = new Uint8Array(rows.length)
  const dayStart = startOfDays(rows, world.days)
  // The definition stops one day before the last.
  const lastStart = Math.min(untilDay, world.days - 1)
  for (let row = 0; row < rows.length; row += 1) {
    if ((rows.cents[row] ?? 0) > fraudRules.suspiciousCents) scenario[row] = 1
  }
  markTerminals(rows, scenario, dayStart, world, lastStart)
  for (let day = 0; day < lastStart; day += 1) markCustomers(rows, scenario, dayStart, world, day)
  return scenario
}

function markTerminals(
  rows: PaymentRows,
  scenario: Uint8Array,
  dayStart: Uint32Array,
  world: WorldOptions,
  lastStart: number,
): void {
  const safeFrom = new Uint32Array(world.terminals)
  for (let day = 0; day < world.days; day += 1) {
    if (day < lastStart) {
      for (const terminal of terminalsFallenOn(day, world)) safeFrom[terminal] = day + fraudRules.terminalDays
    }
    const end = dayStart[day + 1] ?? 0
    for (let row = dayStart[day] ?? 0; row < end; row += 1) {
      if ((safeFrom[rows.terminal[row] ?? 0] ?? 0) > day) scenario[row] = 2
    }
  }
}

function markCustomers(
  rows: PaymentRows,
  scenario: Uint8Array,
  dayStart: Uint32Array,
  world: WorldOptions,
  day: number,
): void {
  const fallen = customersFallenOn(day, world)
  const [a = -1, b = -1, c = -1] = fallen
  const end = dayStart[Math.min(day + fraudRules.customerDays, world.days)] ?? 0
  const candidates: number[] = []
  for (let row = dayStart[day] ?? 0; row < end; row += 1) {
    const customer = rows.customer[row]
    if (customer === a || customer === b || customer === c) candidates.push(row)
  }
  const random = new PythonRandom(world.seedOffset + day)
  for (const index of random.sample(candidates.length, Math.floor(candidates.length / fraudRules.customerShare))) {
    const row = candidates[index] ?? 0
    rows.cents[row] = Math.min((rows.cents[row] ?? 0) * fraudRules.customerFactor, fraudRules.centsMax)
    scenario[row] = 3
  }
}

/** First row of each day, and at the end the number of rows. */
export function startOfDays(rows: Pick<PaymentRows, 'second' | 'length'>, days: number): Uint32Array {
  const start = new Uint32Array(days + 1)
  let row = 0
  for (let day = 0; day <= days; day += 1) {
    while (row < rows.length && (rows.second[row] ?? 0) < day * daySeconds) row += 1
    start[day] = row
  }
  return start
}
