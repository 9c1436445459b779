import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { assert } from '../../base/errors.ts'
import type { Labels, Meter } from '../../ports/telemetry.ts'

export interface PrometheusMeterOptions {
  /** Also report this process: CPU, memory, event loop lag, garbage collection. */
  readonly processMetrics: boolean
  /** Labels of every series of this process, such as `{ role: 'serve' }`. */
  readonly constantLabels: Labels
}

type Instrument = Counter | Gauge | Histogram

/**
 * A {@link Meter} with a registry of its own, apart from any other in the process. A second call with the same name
 * answers the same instrument; one with another kind or other labels is a programmer's error.
 */
export function prometheusMeter(options: PrometheusMeterOptions): Meter {
  const registry = new Registry()
  registry.setDefaultLabels({ ...options.constantLabels })
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  const known = new Map<string, { readonly shape: string; readonly instrument: Instrument }>()

  function once<Kind extends Instrument>(kind: new (c: never) => Kind, name: string, shape: string, make: () => Kind) {
    const found = known.get(name)
    if (found !== undefined) {
      assert(found.shape === shape && found.instrument instanceof kind, `${name} was registered as something else`)
      return found.instrument
    }
    const instrument = make()
    known.set(name, { shape, instrument })
    return instrument
  }

  return {
    counter(name, help, labels = []) {
      assert(name.endsWith('_total'), `${name}: a counter ends in _total`)
      const counter = once(
        Counter,
        name,
        labels.join(),
        () => new Counter({ ...described(name, help, labels), registers: [registry] }),
      )
      return { add: (value, values) => (values === undefined ? counter.inc(value) : counter.inc(values, value)) }
    },
    gauge(name, help, labels = []) {
      const gauge = once(
        Gauge,
        name,
        labels.join(),
        () => new Gauge({ ...described(name, help, labels), registers: [registry] }),
      )
      return {
        set: (value, values) => (values === undefined ? gauge.set(value) : gauge.set(values, value)),
        clear: () => gauge.reset(),
      }
    },
    histogram(name, help, buckets, labels = []) {
      const shape = `${labels.join()}|${buckets.join()}`
      const histogram = once(Histogram, name, shape, () => {
        return new Histogram({ ...described(name, help, labels), buckets: [...buckets], registers: [registry] })
      })
      return {
        observe: (value, values) =>
          values === undefined ? histogram.observe(value) : histogram.observe(values, value),
      }
    },
    async expose() {
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
  }
}

function described(name: string, help: string, labels: readonly string[]) {
  return { name, help, labelNames: [...labels] }
}
