import type { LoadOrder } from './http-load.js'
import type { Metric } from './measurement.ts'
import type { Place } from './place.ts'
import { loadFromOutside } from './reads.ts'
import { eachRound, sized, type Run } from './run.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Clients that wait for one decision after the other: one sees the wait itself, 16 share the machine. */
const clients: readonly number[] = [1, 16]
const customers = 500
/** Replaced by a number of the same length, so that every event is another. */
export const counter = '########'

/**
 * Measures `POST /v1/events?wait=`: the request holds a payment, the answer its decision. The HTTP role appends the
 * payment, the processor scores it, and the HTTP role reads the score. floor/decisions.ts measures what the exchange of
 * the same bytes takes with nothing between.
 */
export function benchDecisions(run: Run, place: Place): Promise<void> {
  return place.within({ roles: ['process', 'serve'] }, async ({ port, driver }) => {
    for (const connections of sized(run, clients, clients.slice(-1))) {
      const name = connections === 1 ? 'one client' : `${connections} clients`
      const metric = (what: string, unit: string): Metric => {
        return { benchmark: 'decisions', driver, name: `${name}, ${what}`, unit }
      }
      await eachRound(run, `decisions on ${driver}, ${name}`, async (round) => {
        const order: LoadOrder = {
          ...{ port, connections, warmUpMs: sized(run, 2_000, 200), measureMs: run.seconds * 1_000 },
          ...{ requests: decisionRequests(port, `${connections}-${round}`), counter },
        }
        const result = await loadFromOutside(order, run.signal)
        if (result.failures > 0) throw new RiverbankError('decisions_failed', `${result.failures} answers were not 200`)
        run.record(metric('decisions', 'decisions/s'), result.requests / result.seconds)
        run.record(metric('p50', 'ms'), result.p50Ms)
        run.record(metric('p99', 'ms'), result.p99Ms)
        run.record(metric('longest', 'ms'), result.longestMs)
      })
    }
  })
}

/** Whole requests of payments that happen now; each sends another event every time, by its {@link counter}. */
export function decisionRequests(port: number, prefix: string): string[] {
  return Array.from({ length: customers }, (_, customer) => {
    const event = {
      ...{ eventId: `bench-${prefix}-${counter}`, eventType: 'payment.initiated', version: 2, timestamp: Date.now() },
      ...{ aggregateType: 'customer', aggregateId: String(customer) },
      data: { customerId: String(customer), terminalId: String(customer * 7), amountMinor: 2_500, currency: 'EUR' },
    }
    const body = JSON.stringify(event)
    const headers = `host: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
    return `POST /v1/events?wait=5000 HTTP/1.1\r\n${headers}\r\n${body}`
  })
}
