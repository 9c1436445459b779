import type { Random } from './definitions.ts'
import { cleared, disputed, flagged, payment, refund, settled } from './events.ts'

/** One event, and the actions after it. */
export interface StreamEvent {
  readonly eventId: string
  readonly eventType: string
  readonly timeMs: number
  /** When a label was given; all other events happen when they are observed. */
  readonly givenMs?: number
  readonly data: Readonly<Record<string, unknown>>
  /** The log takes it so much later than usual: an id that states know for a day only may come again. */
  readonly pauseMs?: number
  /** Every state is encoded and decoded. */
  readonly stored?: boolean
  /** Reads the entities of these ids at this time, as HTTP would. */
  readonly asOf?: { readonly customerId: string; readonly terminalId: string; readonly timeMs: number }
}

/** When an event happened, or a label was given. */
export const eventTimeOf = ({ timeMs, givenMs = timeMs }: StreamEvent) => givenMs

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000]

/** Both zeros, numbers without an exact sum of two, and both ends of the finite numbers. */
const weights = [0, -0, 0.1, -2.5, 1 / 3, 5e-324, Number.MAX_VALUE, -1e300, 2 ** 53]

/**
 * Events that are late, out of order, repeated, of one time, after long silence, and mostly of the same few entities.
 */
export function randomStream(random: Random): StreamEvent[] {
  const events: StreamEvent[] = []
  let clockMs = random.pick([0, -400 * day, 1_780_000_000_000]) + random.below(day)
  const pace = random.pick([500, second, 30 * second, 10 * minute, hour])
  const hot = random.pick([0, 0.5, 0.9])
  const labels = random.pick([0, 0.1, 0.4])
  const nowhere = random.pick([0, 0.2, 0.6])
  const length = 20 + random.below(40)
  for (let i = 0; i < length; i += 1) {
    if (random.chance(0.1) && events.length > 0) {
      const { pauseMs: _, ...again } = random.pick(events)
      events.push({ ...again, ...pause(random), ...aftermath(random, clockMs) })
      continue
    }
    clockMs += random.chance(0.2) ? 0 : random.below(2 * pace)
    if (random.chance(labels)) {
      const label = randomLabel(random, events, `e${i}`)
      if (label !== null) {
        events.push({ ...label, ...aftermath(random, clockMs) })
        continue
      }
    }
    if (random.chance(0.05)) clockMs += random.below(60 * day)
    const late = random.chance(0.25) ? random.below(random.pick([5 * second, minute, hour, day, 45 * day])) : 0
    // Sometimes on the edge of a tile.
    const grid = random.pick([1, 1, second, minute, hour])
    const timeMs = Math.floor((clockMs - late) / grid) * grid
    const customerId = random.chance(hot) ? 'c0' : `c${random.below(3)}`
    const refunds = random.chance(0.2)
    const amount = random.chance(0.05) ? 10_000_000_000 : random.below(2_000)
    const data = refunds
      ? { customerId, amount }
      : {
          customerId,
          ...(random.chance(nowhere) ? {} : { terminalId: random.chance(hot) ? 't0' : `t${random.below(3)}` }),
          amount,
          items: random.below(9) - 2,
          kind: random.pick(['card', 'cash']),
          online: random.chance(0.5),
          ...(random.chance(0.5) ? { note: random.pick(['gift', 'rent']) } : {}),
          ...(random.chance(0.5) ? { weight: random.pick(weights) } : {}),
          ...(random.chance(0.5) ? { gift: random.pick([true, false, null]) } : {}),
        }
    const eventType = refunds ? refund.type : payment.type
    // Customers number their own payments, so they use the same ids.
    const eventId = random.chance(0.3) ? `e${random.below(i + 1)}` : `e${i}`
    events.push({ eventId, eventType, timeMs, data, ...pause(random), ...aftermath(random, clockMs) })
  }
  return events
}

/** Sometimes a pause longer than states remember an id. */
function pause(random: Random): Pick<StreamEvent, 'pauseMs'> {
  return random.chance(0.05) ? { pauseMs: 25 * hour } : {}
}

/**
 * A label of an event so far, maybe again, of another terminal or amount than it had, of one that comes later or never,
 * or of one that is scored as another type.
 */
function randomLabel(random: Random, events: readonly StreamEvent[], eventId: string): StreamEvent | null {
  const isOfRefund = random.chance(0.3)
  const isMistyped = random.chance(0.1)
  const type = isOfRefund === isMistyped ? payment.type : refund.type
  const subjects = events.filter(({ eventType }) => eventType === type)
  if (subjects.length === 0) return null
  const {
    eventId: paymentId,
    timeMs,
    data,
  } = random.chance(0.5) ? random.pick(subjects.slice(-3)) : random.pick(subjects)
  const { customerId, terminalId, amount } = data
  const mistake = random.chance(0.15) ? random.pick(['terminal', 'amount', 'time', 'id'] as const) : null
  const observedMs = mistake === 'time' ? timeMs - minute : timeMs
  const said = {
    paymentId: mistake === 'id' ? 'e40' : paymentId,
    customerId,
    amount: mistake === 'amount' ? 7 : amount,
    loss: random.below(2_000),
  }
  const reason = random.pick(['stolen', 'friendly'])
  const sure = random.chance(0.5)
  const takesBack = random.chance(0.3)
  // Reports come in another order than they were given, and some have the same time.
  const givenMs = timeMs + day + random.pick([0, random.below(5), random.below(day)])
  const label = { eventId, timeMs: observedMs, givenMs }
  if (isOfRefund) {
    return { ...label, eventType: (takesBack ? settled : disputed).type, data: { ...said, refundedMs: observedMs } }
  }
  const named = mistake === 'terminal' ? 't9' : terminalId
  const where = named === undefined ? {} : { terminalId: named }
  return {
    ...{ ...label, eventType: (takesBack ? cleared : flagged).type },
    data: { ...said, ...where, paidMs: observedMs, reason, sure },
  }
}

/** Reads at times before and after those that the states have seen and remember. */
function aftermath(random: Random, nowMs: number): Pick<StreamEvent, 'stored' | 'asOf'> {
  const stored = random.chance(0.3)
  if (!random.chance(0.2)) return { stored }
  const reach = random.pick([second, minute, hour, 8 * day, 40 * day, 120 * day])
  const timeMs = nowMs + random.below(2 * reach) - reach
  return { stored, asOf: { customerId: `c${random.below(3)}`, terminalId: `t${random.below(3)}`, timeMs } }
}
