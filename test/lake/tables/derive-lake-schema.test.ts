import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../../src/define/event-type.ts'
import type { EventType } from '../../../src/events/event.ts'
import { lakeSchema } from '../../../src/lake/tables/derive-lake-schema.ts'
import { schema as payments } from '../support/feed.ts'
import { catalogOf, manifest, schema, set } from '../support/logins.ts'

const with_ =
  (...more: readonly EventType[]) =>
  () =>
    lakeSchema({ catalog: catalogOf([...set.events, ...more]), manifest })

/** An event type of accounts with these fields. */
function typeOf(type: string, fields: z.ZodRawShape, more: object = {}): EventType {
  const current = z.object({ accountId: z.string(), ...fields })
  const common = { aggregateType: 'account', aggregateField: 'accountId', timestamp: 'time' } as const
  return defineEvent({ type, ...common, versions: { 1: { schema: current } }, current, ...more })
}

const columnsOf = (table: 'events' | 'scores', of = schema) =>
  of.tables[table].map(({ name, type }) => `${name} ${type}`)

test('each field of any event type is one typed column of events, and the id of a scored event is one more', () => {
  expect(schema.data.map(({ name, type }) => `${name} ${type}`)).toEqual([
    ...['account_id VARCHAR', 'device_id VARCHAR', 'succeeded BOOLEAN', 'country VARCHAR', 'delay_ms BIGINT'],
    ...['distance DOUBLE', 'data_source VARCHAR', 'tags VARCHAR', 'login_id VARCHAR'],
    ...['login VARCHAR', 'worked BOOLEAN', 'login_time_ms BIGINT', 'label_kind VARCHAR'],
    ...['created_at_ms BIGINT', 'premium BOOLEAN'],
  ])
})

test('a row of scores begins with the id, what is repeated and the time of the scored event, by its rule', () => {
  expect(columnsOf('scores').slice(0, 12)).toEqual([
    ...['event_id VARCHAR', 'login_id VARCHAR', 'device_id VARCHAR', 'account_id VARCHAR', 'succeeded BOOLEAN'],
    ...['country VARCHAR', 'distance DOUBLE', 'data_source VARCHAR', 'tags VARCHAR'],
    ...['login_time TIMESTAMP', 'login_time_ms BIGINT', 'score DOUBLE'],
  ])
})

test('the columns of payments have the names and the order that lakes of payments have', () => {
  expect(columnsOf('scores', payments).slice(0, 9)).toEqual([
    ...['event_id VARCHAR', 'payment_id VARCHAR', 'customer_id VARCHAR', 'terminal_id VARCHAR', 'amount_minor BIGINT'],
    ...['currency VARCHAR', 'payment_time TIMESTAMP', 'payment_time_ms BIGINT', 'score DOUBLE'],
  ])
  const known = ['customer_id', 'terminal_id', 'amount_minor', 'currency', 'payment_id', 'label_kind']
  expect(payments.data.map(({ name }) => name).filter((name) => known.includes(name))).toEqual(known)
})

test('a field that is of one type here and of another there is refused, and both are named', () => {
  expect(with_(typeOf('account.moved', { country: z.number() }))).toThrow(
    'the field country is number in account.moved and text in login.attempted: one column has one type',
  )
  expect(with_(typeOf('account.moved', { tags: z.string() }))).toThrow(
    /tags is text in account\.moved and JSON in login/,
  )
})

test('two fields that would be one column are refused, and both are named', () => {
  expect(with_(typeOf('account.moved', { device_id: z.string() }))).toThrow(
    'the fields device_id of account.moved and deviceId of login.attempted would both be the column device_id',
  )
})

test('a field of another event that is called as labels call their kind is refused', () => {
  expect(with_(typeOf('account.moved', { channel: z.string() }))).toThrow(/account\.moved.*channel.*label_kind/)
})

test('a scored event has no field where its own id or time would stand', () => {
  const scored = { emits: 'move.scored', id: 'moveId', time: 'moveTimeMs', repeats: ['accountId'] } as const
  const only = (fields: z.ZodRawShape) => () =>
    lakeSchema({ catalog: catalogOf([typeOf('account.moved', fields, { scored })]), manifest })
  expect(only({ moveId: z.string() })).toThrow(/move_id would hold both moveId and the id of the event/)
  expect(only({ moveTimeMs: z.number().int() })).toThrow(/move_time_ms would hold both/)
})

test('no two views of a lake have one name', () => {
  expect(with_(typeOf('account.moved', {}, { view: 'logins' }))).toThrow(/called logins, as one of login\.attempted is/)
  expect(with_(typeOf('account.moved', {}, { view: 'scores' }))).toThrow(/called scores/)
  expect(schema.views.map(({ name }) => name)).toEqual(['logins', 'account_created'])
})

const moved = { emits: 'move.scored', id: 'moveId', time: 'moveTimeMs', repeats: ['accountId'] } as const

test('of several scored types each has its relations under the name of its view, and a view that takes one is refused', () => {
  const both = with_(typeOf('account.moved', {}, { scored: moved, view: 'moves' }))()
  expect(both.scored.map(({ plural, relations }) => [plural, ...Object.values<string>({ ...relations })])).toEqual([
    ['logins', 'logins_label_events', 'logins_labels', 'logins_training_set', 'logins_training_set_as_of'],
    ['moves', 'moves_label_events', 'moves_labels', 'moves_training_set', 'moves_training_set_as_of'],
  ])
  expect(with_(typeOf('account.moved', {}, { scored: moved, view: 'logins' }))).toThrow(
    'event type "account.moved": its view would be called logins, as one of login.attempted is: give it a view',
  )
  const third = typeOf('account.closed', {}, { view: 'logins_labels' })
  expect(with_(typeOf('account.moved', {}, { scored: moved }), third)).toThrow(
    'event type "account.closed": its view is called logins_labels, as one of login.attempted: give it another',
  )
})

test('a lake of one scored type has the columns and relations that it had, and says no type of its scores', () => {
  expect(columnsOf('scores', payments)).not.toContain('event_type VARCHAR')
  expect(payments.scored.map(({ relations }) => Object.values<string>({ ...relations }))).toEqual([
    ['label_events', 'labels', 'training_set', 'training_set_as_of'],
  ])
})

test('a column of scores that a type would fill with something else than another is refused, and both are named', () => {
  const clashing = typeOf(
    'account.moved',
    { loginTime: z.string() },
    { scored: { ...moved, repeats: ['accountId', 'loginTime'] } },
  )
  expect(with_(clashing)).toThrow(
    'event type "account.moved": the column login_time of scores would hold both the time of login.attempted and the field loginTime of account.moved',
  )
})

test('a column of scores that a feature and a repeated field would share is refused, and both are named', () => {
  const named = (name: string) => () => {
    const features = manifest.features.map((one, i) => (i === 0 ? { ...one, name } : one))
    return lakeSchema({ catalog: catalogOf(set.events), manifest: { ...manifest, features } })
  }
  expect(named('succeeded')).toThrow(
    'table scores: the column succeeded would hold both the field succeeded of login.attempted and the feature succeeded: give one another name',
  )
  expect(named('score')).toThrow(
    'table scores: the column score would hold both a column that every table of scores has and the feature score: give one another name',
  )
})

test('reports call what labels say by the word of their declaration, and a report where there is none', () => {
  expect(payments.scored.map(({ reported }) => reported)).toEqual(['fraud'])
  expect(schema.scored.map(({ reported }) => reported)).toEqual(['report'])
})
