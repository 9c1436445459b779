import { expect, it } from 'vitest'
import type { ExactParts } from '../../src/events/codec/record-parts.ts'
import type { LogCase } from './event-log-suite.ts'

const utf8 = (text: string) => new Uint8Array(Buffer.from(text))
const broken = new Uint8Array([0xff, 0x00, 0xfe])

/** What Kafka allows beyond text. */
const kept: Readonly<Record<string, ExactParts>> = {
  'no key': { key: null, headers: [], isValueNull: false },
  'a key that is not UTF-8': { key: broken, headers: [], isValueNull: false },
  'no value': { key: utf8('k'), headers: [], isValueNull: true },
  'headers without a value': { key: utf8('k'), headers: [[utf8('a'), null]], isValueNull: false },
  'a header repeated around another': {
    key: utf8('k'),
    headers: [
      [utf8('b'), utf8('1')],
      [utf8('a'), utf8('2')],
      [utf8('b'), utf8('3')],
      [utf8('b'), null],
    ],
    isValueNull: false,
  },
  'names that objects order or refuse': {
    key: utf8('k'),
    headers: [
      [utf8('b'), utf8('1')],
      [utf8('10'), utf8('2')],
      [utf8('__proto__'), utf8('3')],
      [utf8(''), utf8('')],
    ],
    isValueNull: false,
  },
  'headers of bytes': { key: utf8(''), headers: [[broken, broken]], isValueNull: false },
}

/** I6: what is read is what was sent, to the byte and in its order. */
export function eventLogExactCases({ open, topic, readAll }: LogCase): void {
  it.each(Object.keys(kept))('gives back exactly: %s', async (name) => {
    const exact = kept[name]
    if (exact === undefined) throw new Error(name)
    const log = await open()
    const into = await topic(log)
    const value = exact.isValueNull ? '' : 'v'
    await log.publish([{ topic: into, key: 'k', partition: 1, value, exact }])
    const [record] = await readAll(log, into, 1)
    expect(Buffer.from(record?.value ?? []).toString()).toBe(value)
    expect(plain(record?.exact ?? asExact(record?.key ?? null, record?.headers ?? {}))).toEqual(plain(exact))
  })

  it('reads as text what text can say: the first of a name, and none that is null', async () => {
    const log = await open()
    const into = await topic(log)
    const headers = [
      [utf8('a'), null],
      [utf8('a'), utf8('first')],
      [utf8('a'), utf8('second')],
    ] as const
    const exact = { key: utf8('ключ'), headers, isValueNull: false }
    await log.publish([{ topic: into, key: 'k', partition: 0, value: 'v', exact }])
    expect((await readAll(log, into, 1))[0]).toMatchObject({ key: 'ключ', headers: { a: 'first' } })
  })

  it('has no exact parts beside text that says everything', async () => {
    const log = await open()
    const into = await topic(log)
    await log.publish([{ topic: into, key: 'ключ', value: 'v', headers: { b: '1', a: 'ü' } }])
    const [record] = await readAll(log, into, 1)
    expect(record).toMatchObject({ key: 'ключ', headers: { b: '1', a: 'ü' } })
    expect(record).not.toHaveProperty('exact')
  })
}

function asExact(key: string | null, headers: Readonly<Record<string, string>>): ExactParts {
  const pairs = Object.entries(headers).map(([name, value]) => [utf8(name), utf8(value)] as const)
  return { key: key === null ? null : utf8(key), headers: pairs, isValueNull: false }
}

function plain({ key, headers, isValueNull }: ExactParts) {
  const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
  return { key: hex(key), headers: headers.map(([name, value]) => [hex(name), hex(value)]), isValueNull }
}
