import { describe, expect, it } from 'vitest'
import { currencyCodes, minorDigits, minorUnits } from '../../features/currency.ts'
import { paymentFeatures } from '../../features/index.ts'
import { defaultSettings } from '../../features/settings.ts'
import { eventLimits } from '../../src/events/envelope.ts'
import { encodeEvent, type DomainEvent, type EventCatalog } from '../../src/events/event.ts'
import { createReasonWriter } from '../../src/scoring/explain/reason.ts'
import { type ReasonForm } from '../../src/engine/reason-form.ts'
import { readRecordEvent } from '../../src/events/codec/record-event.ts'
import { measure } from '../../src/define/reason.ts'

const catalogOf = (CURRENCY: string): EventCatalog =>
  new Map(paymentFeatures({ CURRENCY }).events.map((event) => [event.type, event]))
const appendTimeMs = Date.UTC(2026, 5, 1, 12)

/** Both ways to read the record: the plain one, and the general one that white space leads to. */
function resultsOf(eventType: string, version: number, data: object, installed = 'EUR') {
  const catalog = catalogOf(installed)
  const event: DomainEvent = {
    ...{ eventId: 'e1', eventType, version, aggregateId: 'c1', aggregateType: 'customer' },
    ...{ timestamp: appendTimeMs, data },
  }
  return ['', ' '].map((space) => {
    const value = new TextEncoder().encode(encodeEvent(event) + space)
    return readRecordEvent({ value, headers: {}, appendTimeMs }, catalog)
  })
}

const payment = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250 }
const label = { ...payment, paymentId: 'p1', paymentTimeMs: appendTimeMs, kind: 'chargeback' }

describe('the currency of a payment and of its label', () => {
  it('is that of the installation', () => {
    expect(defaultSettings.CURRENCY).toBe('EUR')
    for (const result of resultsOf('payment.initiated', 2, { ...payment, currency: 'EUR' }))
      expect(result.kind).toBe('valid')
    for (const result of resultsOf('payment.initiated', 1, payment)) {
      expect(result).toMatchObject({ kind: 'valid', event: { data: { currency: 'EUR' } } })
    }
  })

  it.each(['JPY', 'KWD', 'USD'])('is %s where the installation says so, and then no other one', (installed) => {
    for (const result of resultsOf('payment.initiated', 2, { ...payment, currency: installed }, installed))
      expect(result.kind).toBe('valid')
    for (const result of resultsOf('payment.initiated', 1, payment, installed)) {
      expect(result).toMatchObject({ kind: 'valid', event: { data: { currency: installed } } })
    }
    for (const type of ['fraud.reported', 'payment.initiated']) {
      const version = type === 'fraud.reported' ? 1 : 2
      for (const result of resultsOf(type, version, { ...label, currency: 'EUR' }, installed)) {
        expect(result).toMatchObject({
          code: 'value_not_accepted',
          detail: `currency is EUR, accepted is ${installed}`,
        })
      }
    }
  })

  it.each(['USD', 'JPY', 'KWD', 'XCG'])('is not accepted when it is %s, which nobody converts', (currency) => {
    const refused = { kind: 'invalid', code: 'value_not_accepted', detail: `currency is ${currency}, accepted is EUR` }
    for (const result of resultsOf('payment.initiated', 2, { ...payment, currency }))
      expect(result).toMatchObject(refused)
    for (const result of resultsOf('fraud.reported', 1, { ...label, currency })) expect(result).toMatchObject(refused)
  })

  it.each(['EUX', 'AAA', 'XXX', 'XAU', 'eur', ''])('is not valid when it is %j', (currency) => {
    for (const result of resultsOf('payment.initiated', 2, { ...payment, currency })) {
      expect(result).toMatchObject({ kind: 'invalid', code: 'invalid_data' })
    }
  })
})

it.each(['fraud.reported', 'fraud.withdrawn'])(
  '%s names a payment by what can be the id of an event, and nothing else',
  (type) => {
    const kind = type === 'fraud.reported' ? 'chargeback' : 'chargeback_won'
    const named = (paymentId: unknown) => resultsOf(type, 1, { ...label, kind, currency: 'EUR', paymentId })
    const { maxEventIdLength } = eventLimits
    for (const id of ['p', 'a/b', 'ü', 'x'.repeat(maxEventIdLength)]) {
      for (const result of named(id)) expect(result.kind, id).toBe('valid')
    }
    for (const id of ['', '.', '..', 'a\nb', 'a\u0000', 'x'.repeat(maxEventIdLength + 1), 5]) {
      for (const result of named(id)) expect(result, JSON.stringify(id)).toMatchObject({ code: 'invalid_data' })
    }
  },
)

describe('amounts', () => {
  it('have the digits of their currency', () => {
    expect(['EUR', 'USD', 'JPY', 'KRW', 'ISK', 'KWD', 'BHD', 'TND', 'IQD', 'CLF'].map(minorDigits)).toEqual([
      2, 2, 0, 0, 0, 3, 3, 3, 3, 4,
    ])
    expect(() => minorDigits('EUX')).toThrow('"EUX" is no currency')
    expect(currencyCodes).toHaveLength(new Set(currencyCodes).size)
    expect(['EUR', 'JPY', 'KWD'].map(minorUnits)).toEqual([100, 1, 1_000])
  })

  it.each([
    [undefined, 'spent 12.34, usually 5.00'],
    [0, 'spent 1234, usually 500'],
    [3, 'spent 1.234, usually 0.500'],
  ])('are told with them: %j', (digits, text) => {
    const reason: ReasonForm = {
      kind: 'measure',
      code: 'spent',
      text: 'spent {value}',
      unit: 'minor_units',
      ...(digits === undefined ? {} : { digits }),
    }
    const feature = {
      name: 'spent',
      type: 'integer',
      nullable: false,
      entity: null,
      view: null,
      description: '',
      definition: null,
      reason,
    } as const
    const write = createReasonWriter(['spent'], [feature])
    expect(write({ contributions: [1], values: [1_234], stats: [{ mean: 500, median: 500 }] })[0]?.text).toBe(text)
  })

  it('are told with two where nothing else is said, and nothing but amounts has digits', () => {
    expect(measure('{value}', { unit: 'amount', digits: 2 })).toEqual(measure('{value}', { unit: 'amount' }))
    expect(measure('{value}', { unit: 'amount', digits: 0 })).toMatchObject({ digits: 0 })
    expect(() => measure('{value}', { unit: 'seconds', digits: 0 })).toThrow('digits are of amounts')
  })
})
