import { history } from '../../../features/simulator/history.ts'
import { datasetEpochMs, type SimulatedEvent } from '../../../features/simulator/payment-events.ts'
import { generatePayments } from '../../../features/simulator/payments.ts'
import { originEndingAt } from '../../simulator/time-axis.ts'

/**
 * A tenth of the published data set's customers and terminals, for a year: 30,000 payments are 31 days, after which even
 * the longest window is full, with 58 payments of a customer on average.
 */
const world = { customers: 500, terminals: 1_000, days: 365 } as const

/** The payments of the simulator without their labels, shifted to end today; each call answers the next so many. */
export function openPayments(payments: number): (wanted: number) => SimulatedEvent[] {
  const columns = generatePayments({ ...world, limit: payments })
  const lengthMs = columns.endSecond * 1_000
  const originMs = originEndingAt(Date.now(), { epochMs: datasetEpochMs, lengthMs }, 'day')
  const events = history(columns, { originMs, labelDelayMs: null })
  return (wanted) => {
    const taken: SimulatedEvent[] = []
    for (let next = events.next(); next.done !== true; next = events.next()) {
      taken.push(next.value)
      if (taken.length === wanted) break
    }
    return taken
  }
}
