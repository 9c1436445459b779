import { defaultSettings } from '../settings.ts'
import { customersFallenOn, fraudRules, terminalsFallenOn } from './frauds.ts'
import { NumpyRandom } from './numpy-random.ts'
import { labelEvent, paymentEvent, type LabelEvent, type Payment, type SimulatedEvent } from './payment-events.ts'
import { drawCents } from './payment-rows.ts'
import type { Population, WorldOptions } from './population.ts'

const dayMs = 86_400_000

export interface LiveOptions {
  readonly world: WorldOptions
  readonly population: Population
  /** Seed of the traffic, an unsigned 32-bit integer. The same seed and the same clock give the same events. */
  readonly seed: number
  /** Put before every event id; must differ between runs on one log. */
  readonly idPrefix: string
  /** The installation's currency; the default one when left out. */
  readonly currency?: string
  /** When day 0 of the history began: the same terminals and customers stay compromised that were. */
  readonly originMs: number
  /** Asked once for every event: its answer is the payment's time. */
  readonly nowMs: () => number
  /** null: live frauds are never reported. */
  readonly labelDelayMs: number | null
  /** Labels of the history that are still to be reported, in time order. */
  readonly pending?: readonly LabelEvent[]
  /** Ends after so many payments; without it, never. */
  readonly payments?: number
  /** How many frauds wait for their report; above it a fraud stays unreported. */
  readonly waitingLabelsMax?: number
}

/**
 * Continues with the same population: customers pay in the same proportions, amounts and places, and cheat by the same
 * three scenarios. Each step asks the clock and yields a label that is due, else a payment made now; the caller sets
 * the pace.
 */
export function* liveTraffic(options: LiveOptions): Generator<SimulatedEvent> {
  const { population, labelDelayMs, idPrefix, currency = defaultSettings.CURRENCY, nowMs } = options
  const naming = { idPrefix, currency }
  const random = new NumpyRandom(options.seed)
  const chooseCustomer = customerChooser(population)
  const crooks = new Crooks(options.world)
  const history = new LabelQueue(options.pending ?? [])
  const live = new LabelQueue([])
  const waitingMax = options.waitingLabelsMax ?? 100_000
  for (let index = 0; index < (options.payments ?? Infinity);) {
    const timeMs = Math.floor(nowMs())
    const due = history.takeDue(timeMs) ?? live.takeDue(timeMs)
    if (due !== null) {
      yield due
      continue
    }
    const customer = chooseCustomer(random)
    const first = population.nearbyStart[customer] ?? 0
    const choices = (population.nearbyStart[customer + 1] ?? 0) - first
    const terminal = population.nearby[first + Math.floor(random.double() * choices)] ?? 0
    const cents = drawCents(random, population.meanAmount[customer] ?? 0)
    crooks.moveTo(Math.floor((timeMs - options.originMs) / dayMs))
    const payment: Payment = { index, timeMs, customer, terminal, ...crooks.tamper(customer, terminal, cents, random) }
    if (payment.scenario > 0 && labelDelayMs !== null && live.length < waitingMax) {
      live.add(labelEvent(payment, naming, labelDelayMs))
    }
    index += 1
    yield paymentEvent(payment, naming)
  }
}

/** Customers by how often they pay. */
function customerChooser(population: Population): (random: NumpyRandom) => number {
  const upTo = new Float64Array(population.customers)
  let sum = 0
  for (let c = 0; c < population.customers; c += 1) {
    const reachable = (population.nearbyStart[c + 1] ?? 0) > (population.nearbyStart[c] ?? 0)
    if (reachable) sum += population.paymentsPerDay[c] ?? 0
    upTo[c] = sum
  }
  if (!(sum > 0)) throw new Error('no customer of this population ever pays')
  return (random) => {
    const target = random.double() * sum
    let low = 0
    let high = population.customers - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((upTo[middle] ?? 0) > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Who is compromised on a day, by the definition of the data set continued beyond its last day. */
class Crooks {
  readonly #world: WorldOptions
  #day = NaN
  #terminals: ReadonlySet<number> = new Set()
  /** How often a customer fell in the days that still count. */
  #customers: ReadonlyMap<number, number> = new Map()

  constructor(world: WorldOptions) {
    this.#world = world
  }

  moveTo(day: number): void {
    if (day === this.#day) return
    this.#day = day
    const terminals = new Set<number>()
    const customers = new Map<number, number>()
    for (let start = Math.max(0, day - fraudRules.terminalDays + 1); start <= day; start += 1) {
      for (const terminal of terminalsFallenOn(start, this.#world)) terminals.add(terminal)
    }
    for (let start = Math.max(0, day - fraudRules.customerDays + 1); start <= day; start += 1) {
      for (const customer of customersFallenOn(start, this.#world)) {
        customers.set(customer, (customers.get(customer) ?? 0) + 1)
      }
    }
    this.#terminals = terminals
    this.#customers = customers
  }

  /** Applies the scenarios to a payment: a later one overwrites, and scenario 3 changes the amount. */
  tamper(
    customer: number,
    terminal: number,
    cents: number,
    random: NumpyRandom,
  ): { readonly cents: number; readonly scenario: number } {
    let scenario = cents > fraudRules.suspiciousCents ? 1 : 0
    if (this.#terminals.has(terminal)) scenario = 2
    let amount = cents
    for (let falls = this.#customers.get(customer) ?? 0; falls > 0; falls -= 1) {
      if (random.double() * fraudRules.customerShare >= 1) continue
      amount = Math.min(amount * fraudRules.customerFactor, fraudRules.centsMax)
      scenario = 3
    }
    return { cents: amount, scenario }
  }
}

/** First in, first out; the front is dropped in large pieces. */
class LabelQueue {
  #labels: LabelEvent[]
  #head = 0

  constructor(labels: readonly LabelEvent[]) {
    this.#labels = [...labels]
  }

  get length(): number {
    return this.#labels.length - this.#head
  }

  add(label: LabelEvent): void {
    this.#labels.push(label)
  }

  takeDue(nowMs: number): LabelEvent | null {
    const label = this.#labels[this.#head]
    if (label === undefined || label.timestamp > nowMs) return null
    this.#head += 1
    if (this.#head >= 1_024) {
      this.#labels = this.#labels.slice(this.#head)
      this.#head = 0
    }
    return label
  }
}
