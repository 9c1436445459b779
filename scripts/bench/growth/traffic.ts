import { seeded } from '../../fuzz/definitions.ts'
import { paymentEvent, type SimulatedEvent } from '../../../features/simulator/payment-events.ts'
import { defaultSettings } from '../../../features/settings.ts'
import { dayMs } from '../../../src/base/units.ts'

/**
 * Customers, terminals, and pairs of them that pay: the simulator's population draws every customer against every
 * terminal, which a million forbid. Pair `n` is customer `n / 2` at terminal `n`.
 */
export interface Crowd {
  readonly customers: number
  readonly terminals: number
}

/** A crowd of so many entities, pairs included: of five, one is a customer, two are terminals and two are pairs. */
export function crowdOf(entities: number): Crowd {
  const customers = Math.max(1, Math.round(entities / 5))
  return { customers, terminals: 2 * customers }
}

interface Paying {
  readonly customer: number
  readonly terminal: number
}

/** What a stream of payments draws: the pair of each. */
export type Draw = () => Paying

export interface TrafficOptions {
  readonly idPrefix: string
  readonly payments: number
  readonly draw: Draw
  /** The time of the n-th payment; left out: when it is read. */
  readonly timeMs?: (index: number) => number
}

export function* traffic({ idPrefix, payments, draw, timeMs }: TrafficOptions): Generator<SimulatedEvent> {
  for (let index = 0; index < payments; index += 1) {
    const at = timeMs?.(index) ?? Date.now()
    const payment = { index, timeMs: at, ...draw(), cents: 100 + (index % 9_000), scenario: 0 }
    yield paymentEvent(payment, { idPrefix, currency: defaultSettings.CURRENCY })
  }
}

/** Every pair pays once a day, on so many days that end now: all entities of the crowd then have states. */
export function historyOf({ terminals }: Crowd, days: number): TrafficOptions {
  const payments = terminals * days
  const startMs = Date.now() - days * dayMs
  let next = 0
  return {
    ...{ idPrefix: 'history-', payments },
    draw: () => pairOf(next++ % terminals),
    timeMs: (index) => startMs + Math.floor((index * days * dayMs) / payments),
  }
}

/** A customer pays once at each of so many terminals, within the last day. */
export function wideHistory(customer: number, terminals: number): TrafficOptions {
  let terminal = 0
  const startMs = Date.now() - dayMs
  return {
    ...{ idPrefix: 'wide-', payments: terminals },
    draw: () => ({ customer, terminal: terminal++ }),
    timeMs: (index) => startMs + Math.floor((index * dayMs) / terminals),
  }
}

/** Pairs at random, each as likely as the others: no cache helps. */
export function evenly({ terminals }: Crowd, seed: number): Draw {
  const random = seeded(seed)
  return () => pairOf(random.below(terminals))
}

/** One in `every` payments as another draw, the others as this one. */
export function mixed(draw: Draw, other: Draw, every: number): Draw {
  let n = 0
  return () => (n++ % every === 0 ? other() : draw())
}

/** Any customer at one terminal. */
export function atTerminal({ customers }: Crowd, terminal: number, seed: number): Draw {
  const random = seeded(seed)
  return () => ({ customer: random.below(customers), terminal })
}

/** One customer at any of its terminals. */
export function byCustomer(customer: number, terminals: number, seed: number): Draw {
  const random = seeded(seed)
  return () => ({ customer, terminal: random.below(terminals) })
}

function pairOf(pair: number): Paying {
  return { customer: Math.floor(pair / 2), terminal: pair }
}
