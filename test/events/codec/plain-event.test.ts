import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { riverbank } from '../../../features/index.ts'
import { eventLimits } from '../../../src/events/envelope.ts'
import { schemaOf, type EventCatalog } from '../../../src/events/event.ts'
import { decodeEvent, parseEventText } from '../../../src/events/decode-event.ts'
import { readPlainEvent } from '../../../src/events/codec/plain-event.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { testSeed as seed } from '../../support/seed.ts'

const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
const nowMs = Date.UTC(2026, 5, 1, 12)
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A JSON object as its members, in order and as they are written: so that keys can be twice and numbers odd. */
type Members = readonly (readonly [key: string, value: string | Members])[]

interface Case {
  readonly version: number
  readonly currentVersion: number
  readonly members: Members
}

const spell = (members: Members): string =>
  `{${members.map(([key, value]) => `${JSON.stringify(key)}:${typeof value === 'string' ? value : spell(value)}`).join(',')}}`

const quoted = (text: fc.Arbitrary<string>): fc.Arbitrary<string> => text.map((value) => JSON.stringify(value))
const written = (number: fc.Arbitrary<number>): fc.Arbitrary<string> => number.map(String)

/** No path of a URL carries the others. */
const isCarried = (id: string) => id !== '.' && id !== '..'
const entityId = quoted(fc.stringMatching(/^[\w.:@-]{1,64}$/).filter(isCarried))
const anyId = (maxLength: number) => quoted(fc.string({ minLength: 1, maxLength, unit: 'grapheme' }).filter(isCarried))
const amount = written(fc.integer({ min: 0, max: 10_000_000_000 }))
const pastMs = written(fc.integer({ min: 0, max: nowMs + eventLimits.maxFutureMs + 2 }))
const currency = quoted(fc.constantFrom('EUR', 'EUR', 'EUR', 'USD', 'JPY', 'XCG'))
const fields: Readonly<Record<string, fc.Arbitrary<string>>> = {
  customerId: entityId,
  terminalId: entityId,
  amountMinor: amount,
  currency,
  paymentId: anyId(256),
  paymentTimeMs: pastMs,
  customerSinceMs: pastMs,
  homeCountry: quoted(fc.stringMatching(/^[A-Z]{2}$/)),
  segment: fc.constantFrom('"private"', '"business"'),
}

const time = fc
  .integer({ min: -62_167_219_200_000, max: nowMs + eventLimits.maxFutureMs + 2 })
  .map((ms) => `"${new Date(ms).toISOString()}"`)

/** Any of the kinds that a type has. */
function kindOf(shape: object): fc.Arbitrary<string> {
  const { kind } = shape as { readonly kind: { readonly options: readonly string[] } }
  return quoted(fc.constantFrom(...kind.options))
}

/** What `encodeEvent` writes for any event of any version of any type that ships. */
const shipped: fc.Arbitrary<Case> = fc
  .constantFrom(
    ...riverbank.events.flatMap((type) =>
      Object.keys(type.versions).map((version) => ({ type, version: Number(version) })),
    ),
  )
  .chain(({ type, version }) => {
    const { shape } = type.versions[version]?.schema as unknown as { shape: object }
    const names = Object.keys(shape)
    const values = names.map((name) => (name === 'kind' ? kindOf(shape) : fields[name]!))
    return fc
      .tuple(anyId(240), anyId(256), time, fc.option(anyId(256)), fc.option(anyId(256)), fc.tuple(...values))
      .map(([id, source, at, correlation, causation, data]) => ({
        version,
        currentVersion: type.currentVersion,
        members: [
          ['specversion', '"1.0"'],
          ['id', id],
          ['type', `"${type.type}"`],
          ['source', source],
          ['subject', data[names.indexOf(type.aggregateField)]!],
          ['time', at],
          ['dataschema', `"${schemaOf(type.type, version)}"`],
          ['datacontenttype', '"application/json"'],
          ...(correlation === null ? [] : [['correlationid', correlation] as const]),
          ...(causation === null ? [] : [['causationid', causation] as const]),
          ['data', names.map((name, i) => [name, data[i]!] as const)],
        ] satisfies Members,
      }))
  })

const longValue = fc
  .tuple(fc.constantFrom('x', '😀'), fc.constantFrom(1, 64, 65, 240, 241, 256, 257))
  .map(([unit, length]) => `"${unit.repeat(length)}"`)
/** At the border of the alphabet of ids, raw and escaped. */
const oddId = fc.constantFrom(
  ...[
    '"."',
    '".."',
    '"..."',
    '".a"',
    '" "',
    '"\u007f"',
    '"a\u0080"',
    '"\u009f"',
    '"\u00a0"',
    '"\ufdcf"',
    '"\ufdd0"',
    '"\ufffe"',
  ],
  ...[
    '"\ufffd"',
    '"\u2028"',
    '"/"',
    '"%"',
    '"%2F"',
    '"?#"',
    '"stream"',
    '"\\u0000"',
    '"a\\u0000"',
    '"\\u001f"',
    '"\\n"',
    '"\\u002e"',
  ],
)
const oddValue = fc.oneof(
  fc.constantFrom('null', 'true', '-0', '0', '1e3', '1.0', '-1', '12.5', '1e400', '""', '{}', '[]', '{"a":[1]}', ' 5 '),
  fc.constantFrom('9007199254740991', '9007199254740993', '10000000000', '10000000001', '8640000000000001'),
  fc.constantFrom('"EUR"', '"eur"', '"EURO"', '"a b"', '"c\\u0031"', '"c1\\n"', '"\\ud800"', '"😀"', '"ü"', '01', 'x'),
  longValue,
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
)
const oddTime = fc.oneof(
  fc
    .constantFrom('2018-02-30', '2018-02-29', '2016-02-29', '1900-02-29', '2000-02-29', '0000-02-29', '2018-04-31')
    .map((day) => `"${day}T12:00:00.000Z"`),
  fc
    .constantFrom('2018-00-10', '2018-13-10', '2018-01-00', '2018-01-32', '2018-1-1', '+02018-01-01', '0000-01-01')
    .map((day) => `"${day}T00:00:00.000Z"`),
  fc
    .constantFrom(
      '24:00:00.000Z',
      '23:60:00.000Z',
      '23:59:60.000Z',
      '23:59:59.999Z',
      '12:00:00Z',
      '12:00Z',
      '12:00:00.5Z',
    )
    .map((clock) => `"2018-04-01T${clock}"`),
  fc
    .constantFrom('12:00:00.000+01:00', '12:00:00.000-00:00', '12:00:00.000z', '12:00:00.000', '12:00:00.000000Z')
    .map((clock) => `"2018-04-01T${clock}"`),
  fc.constantFrom(
    '"9999-12-31T23:59:59.999Z"',
    '"2018-04-01 12:00:00.000Z"',
    '"2018-04-01T12.00.00.000Z"',
    '1522540800000',
  ),
)
const oddSchema = fc
  .tuple(
    fc.constantFrom('payment.initiated', 'fraud.reported', 'customer.profile_changed', 'payment.forgotten', 'toString'),
    fc.constantFrom('0', '1', '2', '02', '3', '1000000', '-1', '1.0', ''),
  )
  .map(([type, version]) => `"urn:riverbank:${type}:${version}"`)
const oddKey = fc.constantFrom(
  ...['__proto__', 'constructor', 'prototype', 'toString', 'note', 'eventId', 'correlationid', 'causationid', '0', ''],
  ...['traceparent', 'customerId', 'currency', 'kind', 'data', 'datacontenttype'],
)

type Change = (members: Members) => Members

function replaced(members: Members, at: number, member: Members[number] | null): Members {
  return [...members.slice(0, at), ...(member === null ? [] : [member]), ...members.slice(at + 1)]
}

const place = fc.nat({ max: 1_000 })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, oddValue).map(([at, value]): Change => (members) => {
    const i = at % members.length
    return replaced(members, i, [members[i]![0], value])
  }),
  place.map(
    (at): Change =>
      (members) =>
        replaced(members, at % members.length, null),
  ),
  fc.tuple(place, oddKey, oddValue).map(([at, key, value]): Change => (members) => {
    const i = at % (members.length + 1)
    return [...members.slice(0, i), [key, value], ...members.slice(i)]
  }),
  fc.tuple(place, place).map(([from, to]): Change => (members) => {
    const i = from % members.length
    const rest = replaced(members, i, null)
    const j = to % members.length
    return [...rest.slice(0, j), members[i]!, ...rest.slice(j)]
  }),
  fc.tuple(place, place, oddValue).map(([from, to, value]): Change => (members) => {
    const j = to % (members.length + 1)
    return [...members.slice(0, j), [members[from % members.length]![0], value], ...members.slice(j)]
  }),
  fc.constant((members: Members): Members => members.toReversed()),
)
const put = (key: string, value: string): Change => {
  return (members) => members.map((member) => (member[0] === key ? [key, value] : member))
}
const inData =
  (change: Change): Change =>
  (members) =>
    members.map((member) =>
      typeof member[1] === 'string' || member[1].length === 0 ? member : [member[0], change(member[1])],
    )
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  change,
  change.map(inData),
  oddTime.map((value) => put('time', value)),
  fc
    .tuple(
      fc.constantFrom('id', 'type', 'source', 'subject', 'correlationid', 'causationid'),
      fc.oneof(longValue, oddId),
    )
    .map(([key, value]) => put(key, value)),
  oddSchema.map((value) => put('dataschema', value)),
)

/** Something typed into the text, instead of some of it. */
const slip: fc.Arbitrary<(text: string) => string> = fc
  .tuple(
    fc.nat({ max: 1_000_000 }),
    fc.nat({ max: 2 }),
    fc.constantFrom(
      '',
      '"',
      '\\',
      '}',
      '{',
      ',',
      ':',
      ' ',
      '\n',
      '\u0000',
      '\u001f',
      '\u007f',
      '\u2028',
      'é',
      '0',
      '}}',
      'Z',
    ),
  )
  .map(([at, removed, typed]) => (text) => {
    const i = at % (text.length + 1)
    return text.slice(0, i) + typed + text.slice(i + removed)
  })

/** Both paths answer the same, to the order of keys: events are encoded again, byte for byte. */
function compare(bytes: Uint8Array, types = catalog): boolean {
  const text = decoder.decode(bytes)
  // Most times drawn here are older than any type admits; a door to all of the past lets the rest be compared too.
  for (const door of [{}, { historyFrom: '0000-01-01T00:00:00Z' }]) {
    const [answer, general] = [decodeEvent(bytes, types, nowMs, door), parseEventText(text, types, nowMs, door)]
    expect(answer, text).toStrictEqual(general)
    expect(JSON.stringify(answer), text).toBe(JSON.stringify(general))
  }
  return readPlainEvent(text, types) !== null
}

function envelope(schema: string, subject: string, data: Members): Members {
  return [
    ['specversion', '"1.0"'],
    ['id', '"e1"'],
    ['type', `"${schema.split(':')[0]}"`],
    ['source', '"urn:test"'],
    ['subject', subject],
    ['time', '"2026-06-01T12:00:00.000Z"'],
    ['dataschema', `"urn:riverbank:${schema}"`],
    ['datacontenttype', '"application/json"'],
    ['data', data],
  ]
}

const anyDoor = z.object({ door: z.string() })

describe('an event that is read plainly', () => {
  it('is what the general path reads, for every type and version that ships', () => {
    fc.assert(
      fc.property(shipped, ({ version, currentVersion, members }) => {
        const text = spell(members)
        expect(compare(encoder.encode(text)), text).toBe(version === currentVersion && !text.includes('\\'))
      }),
      { seed, numRuns: 1_000 },
    )
  })

  it('and so is whatever differs from it', () => {
    let plain = 0
    fc.assert(
      fc.property(shipped, fc.array(anyChange, { minLength: 1, maxLength: 3 }), ({ members }, changes) => {
        const changed = changes.reduce<Members>(
          (before, next) => (before.length === 0 ? before : next(before)),
          members,
        )
        if (compare(encoder.encode(spell(changed)))) plain += 1
      }),
      { seed, numRuns: 6_000 },
    )
    expect(plain, 'changes that leave it plain').toBeGreaterThan(200)
  })

  it('and whatever is typed into its text', () => {
    let plain = 0
    fc.assert(
      fc.property(shipped, slip, ({ members }, typed) => {
        if (compare(encoder.encode(typed(spell(members))))) plain += 1
      }),
      { seed, numRuns: 4_000 },
    )
    expect(plain, 'slips that leave it plain').toBeGreaterThan(100)
  })

  it('has its data in the order of their schema, and as they were sent', () => {
    const data: Members = [
      ['currency', '"EUR"'],
      ['amountMinor', '5'],
      ['terminalId', '"t1"'],
      ['customerId', '"c1"'],
    ]
    const text = spell(envelope('payment.initiated:2', '"c1"', data))
    const read = readPlainEvent(text, catalog)
    expect(Object.keys(read?.data ?? {})).toEqual(['customerId', 'terminalId', 'amountMinor', 'currency'])
    expect(JSON.stringify(read?.received.data)).toBe(spell(data))
    compare(encoder.encode(text))
  })

  it('is held to the schema of the envelope where its own would take more', () => {
    const type = defineEvent({
      ...{ type: 'door.opened', aggregateType: 'door', aggregateField: 'door', timestamp: 'time' },
      versions: { 1: { schema: anyDoor } },
      current: anyDoor,
    })
    const doors: EventCatalog = new Map([[type.type, type]])
    for (const [length, isPlain] of [
      [1, true],
      [256, true],
      [257, false],
    ] as const) {
      const door = `"${'x'.repeat(length)}"`
      expect(compare(encoder.encode(spell(envelope('door.opened:1', door, [['door', door]]))), doors)).toBe(isPlain)
    }
  })
})
