import type { Meter } from '../../ports/telemetry.ts'

/** Seconds: from a read of memory to a query over the lake. */
const buckets = [
  0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export interface RequestMetrics {
  /** Counts a request in; the returned function counts it out. `route` is a pattern, so that there are few series. */
  begin(route: string, method: string): (status: number) => void
  /** Requests that have no answer yet. */
  inFlight(): number
}

/** A stream's duration ends with its headers. */
export function requestMetrics(meter: Meter): RequestMetrics {
  const labels = ['route', 'method', 'status']
  const seconds = meter.histogram('riverbank_http_request_seconds', 'Time to answer a request', buckets, labels)
  const gauge = meter.gauge('riverbank_http_requests_in_flight', 'Requests that have no answer yet')
  let inFlight = 0
  gauge.set(0)
  return {
    begin(route, method) {
      const startedMs = performance.now()
      inFlight += 1
      gauge.set(inFlight)
      return (status) => {
        inFlight -= 1
        gauge.set(inFlight)
        seconds.observe((performance.now() - startedMs) / 1000, {
          route,
          method: methods.has(method) ? method : 'OTHER',
          status: String(status),
        })
      }
    },
    inFlight: () => inFlight,
  }
}
