import { describe, expect, it } from 'vitest'
import { riverbank } from '../../features/index.ts'
import { encodeEvent, type DomainEvent, type EventCatalog } from '../../src/events/event.ts'
import { historyHeader, httpDoor, timeFault } from '../../src/events/event-time.ts'
import { readRecordEvent } from '../../src/events/codec/record-event.ts'
import { dayMs, minuteMs } from '../../src/base/units.ts'

const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
const appendTimeMs = Date.UTC(2026, 5, 1, 12)
const payment = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250, currency: 'EUR' }

interface Sent {
  readonly timestamp: number
  readonly paymentTimeMs?: number
  readonly history?: string
}

/** Both ways to read the record: the plain one, and the general one that white space leads to. */
function codesOf({ timestamp, paymentTimeMs, history }: Sent): string[] {
  const isLabel = paymentTimeMs !== undefined
  const event: DomainEvent = {
    ...{ eventId: 'e1', aggregateId: 'c1', aggregateType: 'customer', timestamp: timestamp },
    eventType: isLabel ? 'fraud.reported' : 'payment.initiated',
    version: isLabel ? 1 : 2,
    data: isLabel ? { paymentId: 'p1', ...payment, paymentTimeMs, kind: 'chargeback' } : payment,
  }
  const headers = history === undefined ? {} : { [historyHeader]: history }
  return ['', ' '].map((space) => {
    const value = new TextEncoder().encode(encodeEvent(event) + space)
    const result = readRecordEvent({ value, headers, appendTimeMs }, catalog)
    return result.kind === 'valid' ? 'valid' : result.code
  })
}
const all = (code: string) => [code, code]

describe('the time of an event', () => {
  it('may lie 90 days before the moment the log took it, and not a millisecond more', () => {
    expect(codesOf({ timestamp: appendTimeMs - 90 * dayMs })).toEqual(all('valid'))
    expect(codesOf({ timestamp: appendTimeMs - 90 * dayMs - 1 })).toEqual(all('event_too_old'))
  })

  it('of a label may lie two years back where it is that of the payment, and 90 days where it is its own', () => {
    const label = (reportedAgoMs: number, paidAgoMs: number) =>
      codesOf({ timestamp: appendTimeMs - reportedAgoMs, paymentTimeMs: appendTimeMs - paidAgoMs })
    expect(label(0, 730 * dayMs)).toEqual(all('valid'))
    expect(label(0, 730 * dayMs + 1)).toEqual(all('event_too_old'))
    expect(label(90 * dayMs + 1, 100 * dayMs)).toEqual(all('event_too_old'))
  })

  it.each([
    ['seconds as milliseconds', Math.floor(appendTimeMs / 1_000)],
    ['a clock that begins in 1970', 0],
    ['a clock that begins in 2000', Date.UTC(2000, 0, 1)],
    ['a clock that begins in 1980', Date.UTC(1980, 0, 6)],
  ])('is refused when it comes of %s, in the envelope and in the data', (_what, timeMs) => {
    expect(codesOf({ timestamp: timeMs })).toEqual(all('event_too_old'))
    expect(codesOf({ timestamp: appendTimeMs, paymentTimeMs: timeMs })).toEqual(all('event_too_old'))
  })

  it('is refused when it comes of microseconds as milliseconds', () => {
    expect(codesOf({ timestamp: appendTimeMs, paymentTimeMs: appendTimeMs * 1_000 })).toEqual(all('event_in_future'))
  })
})

describe('a record of history', () => {
  const old = appendTimeMs - 3_000 * dayMs

  it('opens the past as far as its header says, and no further', () => {
    const history = new Date(old).toISOString()
    expect(codesOf({ timestamp: old, history })).toEqual(all('valid'))
    expect(codesOf({ timestamp: old - 1, history })).toEqual(all('event_too_old'))
    expect(codesOf({ timestamp: appendTimeMs, paymentTimeMs: old, history })).toEqual(all('valid'))
    expect(codesOf({ timestamp: old, paymentTimeMs: old - 1, history })).toEqual(all('event_too_old'))
    // What needs no door goes through beside it.
    expect(codesOf({ timestamp: appendTimeMs, history })).toEqual(all('valid'))
  })

  it('opens nothing with a header that is no time, and never the future', () => {
    for (const history of ['', 'true', 'job 12', '2018', '2018-13-01T00:00:00Z']) {
      expect(codesOf({ timestamp: old, history })).toEqual(all('event_too_old'))
    }
    expect(codesOf({ timestamp: appendTimeMs + 6 * minuteMs, history: '1970-01-01T00:00:00Z' })).toEqual(
      all('event_in_future'),
    )
  })
})

describe('what is told of a wrong time', () => {
  const limits = { pastMs: 90 * dayMs, observedPastMs: 730 * dayMs, futureMs: 5 * minuteMs }
  const fault = (timestamp: number, observedAt: number, door = {}) =>
    timeFault({ timestamp, observedAt }, limits, appendTimeMs, door)?.detail

  it('names the field, the limit, the likely mistake and the way for history', () => {
    expect(fault(appendTimeMs, Math.floor(appendTimeMs / 1_000))).toBe(
      'the time of the observation is 20584 days ago, at most 730 days are accepted ' +
        '(it looks like seconds: milliseconds since 1970, or RFC 3339, are expected); history comes through the log with the header riverbank-history-from',
    )
    expect(fault(appendTimeMs * 1_000, appendTimeMs)).toContain('(it looks like microseconds: ')
    expect(fault(0, 0, { historyFrom: 'x' })).toContain('the header riverbank-history-from is not a time')
    expect(fault(0, 0, { historyFrom: '2018-01-01' })).toContain('says 2018-01-01T00:00:00.000Z')
  })

  it('never contradicts itself: the span is told with as many digits as it takes to see that it is beyond the limit', () => {
    const spanMs = /(\d+) (days?|h|min|s|ms)/g
    const unitMs = { day: dayMs, days: dayMs, h: 60 * minuteMs, min: minuteMs, s: 1_000, ms: 1 }
    const msOf = (text: string) =>
      [...text.matchAll(spanMs)].reduce((sum, [, n, unit]) => sum + Number(n) * unitMs[unit as keyof typeof unitMs], 0)
    const beyondMs = [1, 20, 999, 1_000, 29_000, minuteMs, 3_600_001, 11 * 60 * minuteMs, dayMs - 1, dayMs, 400 * dayMs]
    const cases = beyondMs.flatMap((ms) => [
      [appendTimeMs - 90 * dayMs - ms, appendTimeMs, 90 * dayMs],
      [appendTimeMs, appendTimeMs - 730 * dayMs - ms, 730 * dayMs],
      [appendTimeMs + 5 * minuteMs + ms, appendTimeMs, 5 * minuteMs],
      [appendTimeMs, appendTimeMs + 5 * minuteMs + ms, 5 * minuteMs],
    ])
    for (const [timestamp = 0, observedAt = 0, limitMs = 0] of cases) {
      for (const [door, marginMs] of [
        [{}, 0],
        [httpDoor, minuteMs],
      ] as const) {
        // A minute nearer, HTTP refuses as far beyond its limit as the log does beyond its own.
        const nearer = (at: number) => (at === appendTimeMs ? at : at - Math.sign(at - appendTimeMs) * marginMs)
        const detail = fault(nearer(timestamp), nearer(observedAt), door) ?? ''
        const [span = '', limit = ''] = detail.split(', at most ')
        expect(msOf(limit.split(' are accepted')[0] ?? ''), detail).toBe(limitMs - marginMs)
        expect(msOf(span), detail).toBeGreaterThan(limitMs - marginMs)
        expect(msOf(span), detail).toBeLessThanOrEqual(
          Math.max(Math.abs(nearer(timestamp) - appendTimeMs), Math.abs(nearer(observedAt) - appendTimeMs)),
        )
      }
    }
  })

  it('is decided at HTTP a minute before each limit, so that the log accepts a minute later what HTTP did', () => {
    for (const at of [appendTimeMs - 90 * dayMs, appendTimeMs + 5 * minuteMs]) {
      expect(fault(at, at)).toBeUndefined()
      expect(fault(at, at, httpDoor)).toBeDefined()
    }
    for (const at of [appendTimeMs - 90 * dayMs + minuteMs, appendTimeMs + 4 * minuteMs]) {
      expect(fault(at, at, httpDoor)).toBeUndefined()
    }
  })
})
