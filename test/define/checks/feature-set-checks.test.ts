import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { defineEntity } from '../../../src/define/entity.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { add, coalesce, eventField, eventTime, featureReference, type Typed } from '../../../src/define/expression.ts'
import { defineDerived, defineService, type Derived } from '../../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../../src/define/define-feature-set.ts'
import type { EventType } from '../../../src/events/event.ts'
import { deviceLogins, login, loginSchema, userLogins, visits } from '../support/visits.ts'

const perDevice = deviceLogins.feature('login_count_1d')
const more = defineDerived('more', 'one more than there were', add(perDevice, 1))
const known = defineDerived('known', 'logins from the device, 0 where none is named', coalesce(perDevice, 0))

function eventOf(schema: z.ZodObject, type = 'login.attempted'): EventType {
  const versions = { 1: { schema } }
  return defineEvent({
    type,
    scored: { emits: 'login.judged', id: 'loginId', time: 'loginTimeMs', repeats: ['userId'] },
    aggregateType: 'user',
    aggregateField: 'userId',
    timestamp: 'time',
    versions,
    current: schema,
  })
}

describe('a feature of an entity that a scored event may not name', () => {
  it('is no element of a vector, and neither is what is derived from it', () => {
    const withVector = (vector: Parameters<typeof defineService>[0]['vector']) => () =>
      defineFeatureSet({ ...visits, derived: [more, known], services: [defineService({ name: 'risk', vector })] })
    expect(withVector([perDevice])).toThrow(
      'service "risk": device_logins__login_count_1d is of the device, which login.attempted may not name; give it a default with coalesce',
    )
    expect(withVector([more])).toThrow(
      'service "risk": more is of the device, which login.attempted may not name; give it a default with coalesce',
    )
    expect(withVector([known, userLogins.feature('login_count_1d')])).not.toThrow()
  })

  it('is nullable in the compiled feature set', () => {
    const { features } = compileManifest(defineFeatureSet({ ...visits, derived: [more, known] }))
    const nullable = features.filter((feature) => feature.nullable).map(({ name }) => name)
    expect(nullable).toEqual([
      'user_logins__seconds_mean_1d',
      'device_logins__login_count_1d',
      'pair_logins__login_count_1d',
      'more',
    ])
  })
})

describe('the id of an entity', () => {
  it('must be a text', () => {
    const event = eventOf(loginSchema.extend({ deviceId: z.number() }))
    expect(() => defineFeatureSet({ ...visits, views: [], services: [], events: [event] })).toThrow(
      'event type "login.attempted": deviceId makes the id of the device: it must be a text',
    )
  })

  it('is never left open where the log is keyed by it', () => {
    const event = eventOf(loginSchema.extend({ userId: z.string().optional() }))
    expect(() => defineFeatureSet({ ...visits, views: [], services: [], events: [event] })).toThrow(
      'event type "login.attempted": userId makes the id of the user: the log is keyed by it, so it must not be optional',
    )
    const without = z.object({ deviceId: z.string(), other: z.string() })
    const scored = { ...eventOf(loginSchema), versions: { 1: { schema: without } } }
    expect(() => defineFeatureSet({ ...visits, views: [], services: [], events: [scored] })).toThrow(
      'event type "login.attempted": is scored, so it must name the user: it has no field userId',
    )
    expect(() => defineFeatureSet({ ...visits, events: [login] })).not.toThrow()
  })
})

describe('a field of the scored event', () => {
  const reads = (field: string) => () =>
    defineFeatureSet({
      ...visits,
      derived: [defineDerived('read', 'a field', { ...eventTime, tree: { op: 'request', field } })],
    })

  it('is a number or a boolean that some scored event has', () => {
    expect(reads('attempts')).not.toThrow()
    expect(reads('isRemembered')).not.toThrow()
    expect(reads('color')).toThrow('feature "read": reads event.color, and no scored event has that field')
    expect(reads('networkId')).toThrow(
      'feature "read": reads event.networkId, which is no number and no boolean in login.attempted',
    )
  })

  it('called like the time of the event is that time, or confuses', () => {
    expect(reads('timeMs')).not.toThrow()
    const event = eventOf(loginSchema.extend({ timeMs: z.number() }))
    const derived = [defineDerived('read', 'the time', eventTime)]
    expect(() => defineFeatureSet({ ...visits, events: [event], derived })).toThrow(
      'feature "read": reads event.timeMs, the time of the event, and login.attempted has another field of that name',
    )
  })

  it('that an event may lack makes a feature that no vector takes', () => {
    const remembered = defineDerived('remembered', 'a known device', eventField(login, 'isRemembered'))
    const known = defineDerived('known', 'the same, 0 where nobody says', coalesce(remembered, 0))
    const tries = defineDerived('tries', 'attempts', eventField(login, 'attempts'))
    const withVector =
      (...vector: readonly Typed[]) =>
      () =>
        defineFeatureSet({
          ...visits,
          derived: [remembered, known, tries],
          services: [
            { name: 'risk', eventType: null, vector: vector.map(({ tree }) => ('name' in tree ? tree.name : '')) },
          ],
        })
    expect(remembered.nullable).toBe(true)
    expect(withVector(known, tries)).not.toThrow()
    expect(withVector(remembered)).toThrow(
      'service "risk": remembered reads event.isRemembered, which login.attempted may lack; give it a default with coalesce',
    )
  })
})

describe('a mistake is told by the definition that has it', () => {
  const reading = (name: string, read: string) => defineDerived(name, 'of another', featureReference(read, false))

  it('where features read each other in a circle, or one that comes later or never', () => {
    const set =
      (...derived: Derived[]) =>
      () =>
        defineFeatureSet({ ...visits, derived })
    expect(set(reading('a', 'a'))).toThrow('feature "a": reads itself, by way of a')
    expect(set(reading('a', 'b'), reading('b', 'c'), reading('c', 'a'))).toThrow(
      'feature "a": reads itself, by way of b, c, a',
    )
    expect(set(reading('a', 'b'), reading('b', 'user_logins__login_count_1d'))).toThrow(
      'feature "a": reads b, which is not defined before it',
    )
    expect(set(reading('a', 'c'))).toThrow('feature "a": reads c, which is not defined before it')
  })

  it('where an event type names a field that its data do not have', () => {
    const define = (options: object) => () =>
      defineEvent({
        ...{ type: 'user.left', aggregateType: 'user', aggregateField: 'userId', timestamp: 'time' },
        ...{ versions: { 1: { schema: loginSchema } }, current: loginSchema, ...options },
      })
    expect(define({ aggregateField: 'id' })).toThrow('event type "user.left": aggregateField: it has no field id')
    expect(define({ timestamp: 'leftMs' })).toThrow('event type "user.left": timestamp: it has no field leftMs')
    expect(define({ accepts: { color: ['red'] } })).toThrow(
      'event type "user.left": accepts.color: it has no field color',
    )
    const label = { of: login, subject: 'loginId', repeats: { userId: 'userId' } }
    expect(define({ label })).toThrow('event type "user.left": label.subject: it has no field loginId')
  })

  it('where an entity has no key field, a service has the name of another, and a scored type has none', () => {
    expect(() => defineEntity({ name: 'user', keyFields: [] as never })).toThrow(
      'entity "user": name the fields that make its id in keyFields',
    )
    const [service] = visits.services
    expect(() => defineFeatureSet({ ...visits, services: [service, service] as never })).toThrow(
      'two services are both named usual',
    )
    expect(() => defineFeatureSet({ ...visits, services: [] })).toThrow(
      'event type "login.attempted": it is scored, and no service is of it',
    )
  })

  it('where a label is of a type that is not scored', () => {
    const schema = z.object({ userId: z.string(), loginId: z.string(), loginMs: z.number().int() })
    const { scored: _scored, ...unscored } = login
    const label = defineEvent({
      ...{ type: 'login.disputed', aggregateType: 'user', aggregateField: 'userId', timestamp: 'loginMs' },
      label: { of: unscored, subject: 'loginId', repeats: { userId: 'userId', loginMs: 'time' } },
      ...{ versions: { 1: { schema } }, current: schema },
    })
    expect(() => defineFeatureSet({ ...visits, events: [unscored, label], services: [] })).toThrow(
      'event type "login.disputed": labels login.attempted, which is not scored',
    )
  })

  it('where two scored types would have scores of one type, or scores of a type that is sent', () => {
    const schema = z.object({ userId: z.string() })
    const reset = (emits: string) =>
      defineEvent({
        ...{ type: 'password.reset_requested', aggregateType: 'user', aggregateField: 'userId', timestamp: 'time' },
        scored: { emits, id: 'resetId', time: 'resetTimeMs', repeats: ['userId'] },
        ...{ versions: { 1: { schema } }, current: schema },
      })
    const both = (emits: string) => () => {
      const second = reset(emits)
      const of = defineService({ name: 'usual', of: login, vector: [] })
      const services = [of, defineService({ name: 'of_resets', of: second, vector: [] })]
      return defineFeatureSet({ ...visits, events: [...visits.events, second], services })
    }
    expect(both('reset.judged')).not.toThrow()
    expect(both('login.judged')).toThrow(
      'event type "password.reset_requested": the scores of login.attempted are login.judged, too',
    )
    expect(both('login.attempted')).toThrow(
      'event type "password.reset_requested": its scores are login.attempted, which is a type of events',
    )
  })
})
