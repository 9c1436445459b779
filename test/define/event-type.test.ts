import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/define/event-type.ts'

const order = z.object({ customerId: z.string(), total: z.number().int() })
const complaint = z.object({
  orderId: z.string(),
  customerId: z.string(),
  orderTimeMs: z.number().int(),
  why: z.string(),
})
const common = { aggregateType: 'customer', aggregateField: 'customerId' } as const
const scored = { emits: 'order.scored', id: 'orderId', time: 'orderTimeMs', repeats: ['customerId', 'total'] } as const

const placed = (more: object = {}) =>
  defineEvent({
    ...common,
    type: 'order.placed',
    timestamp: 'time',
    versions: { 1: { schema: order } },
    current: order,
    ...more,
  })

const complained = (label: object = {}) =>
  defineEvent({
    ...common,
    type: 'order.complained',
    timestamp: 'orderTimeMs',
    label: {
      of: placed(),
      subject: 'orderId',
      repeats: { customerId: 'customerId', orderTimeMs: 'time' },
      ...label,
    },
    versions: { 1: { schema: complaint } },
    current: complaint,
  })

test('a label says whether it takes a report back, and which of its fields is its kind', () => {
  expect(complained().label).not.toHaveProperty('withdraws')
  expect(complained({ withdraws: true, kind: 'why' }).label).toMatchObject({ withdraws: true, kindField: 'why' })
  expect(() => complained({ kind: 'reason' })).toThrow('event type "order.complained": label: it has no field reason')
})

test('what a scored event is worth is one of the fields that its score repeats', () => {
  expect(placed({ scored: { ...scored, worth: 'total' } }).scored).toMatchObject({ worthField: 'total' })
  expect(placed({ scored }).scored).not.toHaveProperty('worthField')
  const unrepeated = { ...scored, repeats: ['customerId'], worth: 'total' }
  expect(() => placed({ scored: unrepeated })).toThrow('order.scored must repeat total, what the event is worth')
})

test('an event type may name its view, as SQL spells names', () => {
  expect(placed({ view: 'orders' })).toMatchObject({ view: 'orders' })
  expect(placed()).not.toHaveProperty('view')
  expect(() => placed({ view: 'All Orders' })).toThrow('view "All Orders": write it in lower_snake_case')
})

test('a field that every object inherits is refused: its absence could not be told', () => {
  const risky = order.extend({ constructor: z.string().optional() })
  expect(() => placed({ versions: { 1: { schema: risky } }, current: risky })).toThrow(
    'event type "order.placed": version 1 has a field constructor, as every JavaScript object has: rename it',
  )
})

test('what every object inherits is no field that a type may name', () => {
  expect(() => placed({ aggregateField: 'toString' })).toThrow('aggregateField: it has no field toString')
  expect(() => complained({ kind: 'valueOf' })).toThrow('label: it has no field valueOf')
})

test('the word for what a label reports is a noun in lower case, and left out where none is declared', () => {
  expect(complained({ says: 'complaint' }).label).toMatchObject({ says: 'complaint' })
  expect(complained({}).label).not.toHaveProperty('says')
  expect(() => complained({ says: 'A Complaint!' })).toThrow(
    'event type "order.complained": label: says "A Complaint!": write a noun in lower case',
  )
})

test('an option that is misspelt or left out is refused, wherever a type takes options', () => {
  expect(() => placed({ veiw: 'orders' })).toThrow('event type "order.placed": there is no option veiw; there are type')
  expect(() => complained({ withdraw: true })).toThrow(
    'event type "order.complained": label: there is no option withdraw',
  )
  expect(() => placed({ scored: { ...scored, emit: 'x' } })).toThrow('scored: there is no option emit')
  expect(() => placed({ times: { oldest: '1d' } })).toThrow('times: there is no option oldest')
  expect(() => placed({ versions: undefined })).toThrow('event type "order.placed": give it versions')
})

test('what a scored event is worth is a whole number, and its time says that it is milliseconds', () => {
  const named = { ...scored, repeats: ['customerId', 'total'], worth: 'customerId' }
  expect(() => placed({ scored: named })).toThrow('scored: worth: customerId is no whole number')
  expect(() => placed({ scored: { ...scored, time: 'orderTime' } })).toThrow(
    'scored: time is orderTime: milliseconds end with Ms',
  )
})
