import { expect, test } from 'vitest'
import { prometheusMeter } from '../../src/edges/prometheus/meter.ts'
import { noneReleased } from '../../src/engine/state/waiting-labels.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import { createProcessMetrics } from '../../src/process/metrics.ts'
import type { Applied, DecodedEvent } from '../../src/process/stages.ts'

const record: LogRecord = {
  ...{ topic: 'events', partition: 0, offset: 0, appendTimeMs: 0, key: 'c1' },
  ...{ value: new Uint8Array(), headers: {} },
}
const decoded: DecodedEvent = {
  ...{ kind: 'event', record, entityIds: [], observedAtMs: 0, isScored: true },
  plan: { type: 'payment.initiated', bindings: [] },
  event: {
    ...{ eventId: 'p1', eventType: 'payment.initiated', version: 1, data: {}, timestamp: 0 as never },
    ...{ aggregateId: 'c1', aggregateType: 'customer' },
  },
}

/** An event that its customer and its terminal took; the customer released these labels. */
function applied(released: readonly string[]): Applied {
  const response = { offset: 0, sequence: 1, incarnation: 0, outcome: 'applied', features: null, flags: [] } as const
  const responses = [
    { ...response, released },
    { ...response, released: noneReleased },
  ]
  return { kind: 'applied', record, decoded, responses, verdict: null }
}

test('labels that were released are counted, whatever else a batch has', async () => {
  const meter = prometheusMeter({ constantLabels: {}, processMetrics: false })
  const metrics = createProcessMetrics(meter, ['customer', 'terminal'], 1)
  const observed = [
    applied(['f1', 'f2']),
    { kind: 'duplicate', record, decoded } as const,
    applied(['f3']),
    applied([]),
  ]
  metrics.batch({
    batch: { topic: 'events', partition: 0, records: [record], next: 1, end: 1 },
    ...{ observed, conflicts: 0, written: 0, published: 0 },
    ...{ cached: { entries: 0, bytes: 0 }, startedMs: 0, endedMs: 1 },
  })
  const { body } = await meter.expose()
  expect(body).toMatch(/^riverbank_process_labels_released_total 3$/m)
})
