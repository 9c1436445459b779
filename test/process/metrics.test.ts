import { expect, test } from 'vitest'
import { prometheusMeter } from '../../src/edges/prometheus/meter.ts'
import { noneReleased } from '../../src/engine/state/waiting-labels.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import { createProcessMetrics } from '../../src/process/metrics.ts'
import type { Applied, DecodedEvent, Observed } from '../../src/process/stages.ts'

const record: LogRecord = {
  ...{ topic: 'events', partition: 0, offset: 0, appendTimeMs: 0, key: 'c1' },
  ...{ value: new Uint8Array(), headers: {} },
}
const decoded: DecodedEvent = {
  ...{ kind: 'event', record, entityIds: [], observedAtMs: 0, isScored: true },
  plan: { type: 'payment.initiated', bindings: [] },
  event: {
    ...{ eventId: 'p1', eventType: 'payment.initiated', version: 1, data: {}, timestamp: 0 },
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

async function exposedAfter(observed: readonly Observed[]): Promise<string> {
  const meter = prometheusMeter({ constantLabels: {}, processMetrics: false })
  createProcessMetrics(meter, ['customer', 'terminal'], 1).batch({
    batch: { topic: 'events', partition: 0, records: [record], next: 1, end: 1 },
    ...{ observed, conflicts: 0, written: 0, published: 0 },
    ...{ cached: { entries: 0, bytes: 0 }, startedMs: 0, endedMs: 1 },
  })
  return (await meter.expose()).body
}

test('labels that were released are counted, whatever else a batch has', async () => {
  const body = await exposedAfter([
    applied(['f1', 'f2']),
    { kind: 'duplicate', record, decoded },
    applied(['f3']),
    applied([]),
  ])
  expect(body).toMatch(/^riverbank_process_labels_released_total 3$/m)
})

test('events are counted by their type and by what came of them', async () => {
  const label: DecodedEvent = {
    ...decoded,
    isScored: false,
    event: { ...decoded.event, eventType: 'fraud.reported' },
  }
  const body = await exposedAfter([
    applied([]),
    applied([]),
    { kind: 'duplicate', record, decoded },
    { ...applied([]), decoded: label },
  ])
  const counted = body.split('\n').filter((line) => line.startsWith('riverbank_process_events_total{'))
  expect(counted.toSorted()).toEqual([
    'riverbank_process_events_total{type="fraud.reported",outcome="observed"} 1',
    'riverbank_process_events_total{type="payment.initiated",outcome="duplicate"} 1',
    'riverbank_process_events_total{type="payment.initiated",outcome="scored"} 2',
  ])
})
