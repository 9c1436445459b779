import { inCanonicalOrder, orderTies, swapWithPrevious } from './canonical-order.ts'
import { customersFallenOn, fraudRules, markFrauds, startOfDays } from './frauds.ts'
import { daySeconds, drawPayments, expectedPaymentsPerDay, type PaymentRows } from './payment-rows.ts'
import { generatePopulation, publishedWorld, type Population, type WorldOptions } from './population.ts'

/** Payments in canonical order, (second, customer, terminal, cents), one typed array per column. */
export interface PaymentColumns {
  readonly length: number
  /** Index of the first row in the whole data set: the same payment has the same index in every range. */
  readonly firstIndex: number
  readonly fromDay: number
  /** Where this range ends, in seconds since day 0: the end of its last day or, if limited, just after its last row. */
  readonly endSecond: number
  readonly day: Uint16Array
  /** Seconds since day 0, 00:00. */
  readonly second: Uint32Array
  readonly customer: Uint32Array
  readonly terminal: Uint32Array
  /** Integers; doubles only because scenario 3 multiplies. */
  readonly cents: Float64Array
  /** 1 for fraud. */
  readonly fraud: Uint8Array
  /** 1, 2, 3; 0 for an honest payment. */
  readonly scenario: Uint8Array
}

export interface PaymentOptions extends Partial<WorldOptions> {
  /** First day to answer; 0 by default. */
  readonly fromDay?: number
  /** First day not to answer; by default and at most `days`. Frauds are those of the whole data set. */
  readonly toDay?: number
  /** Answers the first so many payments of the range. */
  readonly limit?: number
  /** Saves drawing it again; must be of the same world. */
  readonly population?: Population
}

/** The world of these options with defaults; throws one sentence on numbers that make no sense. */
export function worldOf(options: Partial<WorldOptions>): WorldOptions {
  const world: WorldOptions = {
    customers: options.customers ?? publishedWorld.customers,
    terminals: options.terminals ?? publishedWorld.terminals,
    days: options.days ?? publishedWorld.days,
    radius: options.radius ?? publishedWorld.radius,
    seedOffset: options.seedOffset ?? publishedWorld.seedOffset,
  }
  const whole = (name: keyof WorldOptions, min: number, max: number) => {
    const value = world[name]
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new Error(`${name}: a whole number from ${min} to ${max}, not ${value}`)
    }
  }
  whole('customers', 1, 1_000_000)
  whole('terminals', 1, 1_000_000)
  whole('days', 1, 3_650)
  whole('seedOffset', 0, 4_000_000_000)
  if (!(world.radius > 0)) throw new Error(`radius: above 0, not ${world.radius}`)
  return world
}

/**
 * Generates the payments of a range of days. Costs what the days from 0 to the end of the range cost: each customer's
 * days follow from one seed. Without options it is the published data set, 1,754,155 rows.
 */
export function generatePayments(options: PaymentOptions = {}): PaymentColumns {
  const world = worldOf(options)
  const fromDay = Math.max(options.fromDay ?? 0, 0)
  const lastDay = Math.min(options.toDay ?? world.days, world.days)
  if (fromDay >= lastDay) throw new Error(`no days from ${fromDay} until ${lastDay} in ${world.days} days`)
  const population = options.population ?? generatePopulation(world)
  const { limit } = options
  if (limit === undefined) return paymentsUntil(population, world, fromDay, lastDay)
  // Most likely enough days for the limit; else adds as many.
  const estimatedDays = limit / Math.max(expectedPaymentsPerDay(population), 1)
  for (let toDay = fromDay + Math.ceil(estimatedDays * 1.03) + 1; ; toDay += Math.ceil(estimatedDays) + 1) {
    const columns = paymentsUntil(population, world, fromDay, Math.min(toDay, lastDay))
    if (columns.length >= limit || toDay >= lastDay) return limited(columns, limit)
  }
}

function paymentsUntil(population: Population, world: WorldOptions, fromDay: number, toDay: number): PaymentColumns {
  const rows = inCanonicalOrder(drawPayments(population, world, daysNeeded(world, toDay)), world.days)
  const rawColumns = [rows.second, rows.customer, rows.terminal, rows.cents]
  orderTies(rows, (row) => {
    for (const column of rawColumns) swapWithPrevious(column, row)
  })
  const scenario = markFrauds(rows, world, toDay)
  // Scenario 3 changed amounts, which may have changed the order among ties.
  const columns = [...rawColumns, scenario]
  orderTies(rows, (row) => {
    for (const column of columns) swapWithPrevious(column, row)
  })
  const dayStart = startOfDays(rows, world.days)
  return cut(rows, scenario, dayStart[fromDay] ?? 0, dayStart[toDay] ?? 0, fromDay, toDay * daySeconds)
}

/**
 * Until which day each customer must be drawn so that all days before `toDay` are right: customers that fall shortly
 * before it need the rest of their window, because a third of all its payments is chosen.
 */
function daysNeeded(world: WorldOptions, toDay: number): Uint32Array {
  const untilDay = new Uint32Array(world.customers).fill(toDay)
  const lastStart = Math.min(toDay, world.days - 1)
  for (let day = Math.max(0, toDay - fraudRules.customerDays + 1); day < lastStart; day += 1) {
    for (const customer of customersFallenOn(day, world)) {
      untilDay[customer] = Math.min(day + fraudRules.customerDays, world.days)
    }
  }
  return untilDay
}

function cut(
  rows: PaymentRows,
  scenario: Uint8Array,
  start: number,
  end: number,
  fromDay: number,
  endSecond: number,
): PaymentColumns {
  const second = rows.second.slice(start, end)
  const day = new Uint16Array(end - start)
  for (let row = 0; row < day.length; row += 1) day[row] = Math.floor((second[row] ?? 0) / daySeconds)
  const scenarios = scenario.slice(start, end)
  return {
    length: end - start,
    firstIndex: start,
    fromDay,
    endSecond,
    day,
    second,
    customer: rows.customer.slice(start, end),
    terminal: rows.terminal.slice(start, end),
    cents: rows.cents.slice(start, end),
    fraud: scenarios.map((value) => (value === 0 ? 0 : 1)),
    scenario: scenarios,
  }
}

/** The rows of this day and of all that follow. */
export function paymentsFromDay(columns: PaymentColumns, fromDay: number): PaymentColumns {
  const found = columns.day.findIndex((day) => day >= fromDay)
  const start = found < 0 ? columns.length : found
  return {
    length: columns.length - start,
    firstIndex: columns.firstIndex + start,
    fromDay: Math.max(fromDay, columns.fromDay),
    endSecond: columns.endSecond,
    day: columns.day.subarray(start),
    second: columns.second.subarray(start),
    customer: columns.customer.subarray(start),
    terminal: columns.terminal.subarray(start),
    cents: columns.cents.subarray(start),
    fraud: columns.fraud.subarray(start),
    scenario: columns.scenario.subarray(start),
  }
}

/** The first `limit` rows; the range then ends a second after the last of them. */
function limited(columns: PaymentColumns, limit: number): PaymentColumns {
  if (columns.length <= limit) return columns
  return {
    length: limit,
    firstIndex: columns.firstIndex,
    fromDay: columns.fromDay,
    endSecond: limit === 0 ? columns.fromDay * daySeconds : (columns.second[limit - 1] ?? 0) + 1,
    day: columns.day.subarray(0, limit),
    second: columns.second.subarray(0, limit),
    customer: columns.customer.subarray(0, limit),
    terminal: columns.terminal.subarray(0, limit),
    cents: columns.cents.subarray(0, limit),
    fraud: columns.fraud.subarray(0, limit),
    scenario: columns.scenario.subarray(0, limit),
  }
}
