import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { riverbank } from '../../../features/index.ts'
import { compileReader } from '../../../src/events/codec/plain-schema.ts'
import { testSeed as seed } from '../../support/seed.ts'

const readable: Readonly<Record<string, z.ZodObject>> = {
  texts: z.object({
    a: z.string(),
    b: z.string().min(1),
    c: z.string().min(2).max(3),
    d: z.string().regex(/^[a-b]*$/),
  }),
  numbers: z.object({ a: z.number(), b: z.number().int(), c: z.number().min(0).max(2), d: z.number().gt(0).lt(2) }),
  choices: z.object({ a: z.enum(['a', 'b']), b: z.literal('a'), c: z.literal(['a', '']) }),
  optional: z.object({
    a: z.string().optional(),
    b: z.number().optional(),
    c: z.string(),
    d: z.enum(['a']).optional(),
  }),
  'all optional': z.object({ a: z.string().optional(), b: z.number().optional() }),
  'numeric keys': z.object({ b: z.string().optional(), 1: z.number().optional(), 0: z.string().optional() }),
  described: z.object({ a: z.string('why').describe('what') }),
  nothing: z.object({}),
  'flags, and what may be null': z.object({
    a: z.boolean(),
    b: z.string().nullable(),
    c: z.number().nullish(),
    d: z.unknown(),
  }),
  nested: z.object({ a: z.object({ a: z.string().optional() }), b: z.object({}).optional() }),
  lists: z.object({ a: z.array(z.string()), b: z.array(z.object({})).optional() }),
  records: z.object({ a: z.record(z.string(), z.string()), b: z.record(z.string(), z.number()).optional() }),
}

const a = z.string()
const unread: Readonly<Record<string, z.ZodType>> = {
  'unknown keys refused': z.strictObject({ a }),
  'unknown keys kept': z.looseObject({ a }),
  'unknown keys of a kind': z.object({ a }).catchall(z.number()),
  'a rule of the whole': z.object({ a }).refine(() => false),
  'a changed whole': z.object({ a }).transform(() => 1),
  'no object': z.string(),
  'a record on its own': z.record(z.string(), z.string()),
  'a record of some keys': z.object({ a: z.record(z.enum(['a']), a) }),
  'a record of long keys': z.object({ a: z.record(z.string().min(2), a) }),
  'a nested union': z.object({ a: z.object({ a: z.union([z.string(), z.number()]) }) }),
  'a list of so many': z.object({ a: z.array(a).min(1) }),
  'a list of unions': z.object({ a: z.array(z.union([z.string(), z.number()])) }),
  'a union or null': z.object({ a: z.union([z.string(), z.number()]).nullable() }),
  'a time to the second': z.object({ a: z.iso.datetime({ precision: 0 }) }),
  'a time of a rule': z.object({ a: z.iso.datetime().min(30) }),
  'a union': z.object({ a: z.union([z.string(), z.number()]) }),
  'a default': z.object({ a: a.default('x') }),
  'an optional default': z.object({ a: a.default('x').optional() }),
  'twice optional': z.object({ a: a.optional().optional() }),
  'a default instead of what is wrong': z.object({ a: a.catch('x') }),
  'a rule of its own': z.object({ a: a.refine(() => false) }),
  'a changed text': z.object({ a: a.trim() }),
  'a made text': z.object({ a: z.coerce.string() }),
  'a made number': z.object({ a: z.coerce.number() }),
  'a text of a form': z.object({ a: z.email() }),
  'a pattern with a memory': z.object({ a: z.string().regex(/a/g) }),
  'a pattern that sticks': z.object({ a: z.string().regex(/a/y) }),
  'another rule of texts': z.object({ a: z.string().startsWith('a') }),
  'another rule of numbers': z.object({ a: z.number().multipleOf(2) }),
  'another kind of number': z.object({ a: z.int32() }),
  'a choice of numbers': z.object({ a: z.literal([1, 'a']) }),
  'an inherited name': z.object({ toString: a }),
  'a name that no event may have': z.object({ prototype: a }),
}

const values = [
  ...['', 'a', 'b', 'ab', 'abc', 'abcd', 'x', '😀', '😀😀', '😀😀😀😀', null, true, [], {}, ['a'], { a: 'a' }],
  ...[0, -0, 1, 2, 3, -1, 0.5, 1e308, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1, Infinity, NaN],
]
const value = fc.constantFrom(...values)
const member = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', '0', '1', 'e', '__proto__', 'toString'), value)
const record = fc.array(member, { maxLength: 6 }).map((members) => {
  const made = {}
  // As JSON.parse does it: a key of its own, whatever its name.
  for (const [key, of] of members) {
    Object.defineProperty(made, key, { value: of, enumerable: true, writable: true, configurable: true })
  }
  return made
})

/** Mostly what the field takes. */
function mostly(field: z.ZodType): fc.Arbitrary<unknown> {
  const taken = fc.constantFrom(...values.filter((value) => field.safeParse(value).success))
  return fc.oneof({ weight: 9, arbitrary: taken }, { weight: 1, arbitrary: value })
}

describe('a schema that is read plainly', () => {
  it.each(Object.entries(readable))('gives what zod gives: %s', (_what, schema) => {
    const read = compileReader(schema)
    if (read === null) throw new Error('it is readable')
    const keys = Object.keys(schema.shape)
    let plain = 0
    const compare = (input: unknown) => {
      const answer = read(input)
      const parsed = schema.safeParse(input)
      if (answer === null) {
        expect(parsed.success && isDeepStrictEqual(parsed.data, input), 'what is plainly valid is read').toBe(false)
        return
      }
      plain += 1
      expect(parsed.success).toBe(true)
      expect(answer).toStrictEqual(parsed.data)
      expect(Object.keys(answer)).toEqual(Object.keys(parsed.data ?? {}))
    }
    const fitting = fc
      .tuple(...Object.values(schema.shape).map((field: z.ZodType) => mostly(field)))
      .chain((fields) => {
        const some = fc.shuffledSubarray(keys, { minLength: Math.max(0, keys.length - 1) })
        return some.map((order) => Object.fromEntries(order.map((key) => [key, fields[keys.indexOf(key)]])))
      })
    fc.assert(fc.property(fc.oneof(fitting, record, value), compare), { seed, numRuns: 2_000 })
    expect(plain).toBeGreaterThan(50)
  })

  it.each(
    riverbank.events.flatMap((event) => Object.entries(event.versions).map(([n, of]) => [event.type, n, of] as const)),
  )('is every one that ships: %s version %s', (_type, _version, { schema }) => {
    expect(compileReader(schema)).not.toBeNull()
  })

  it('reads the times that we write, and leaves the others to zod', () => {
    const schema = z.object({ a: z.iso.datetime({ offset: true }) })
    const read = compileReader(schema)
    const times = fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.stringMatching(/^20[0-9]{2}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{3}(Z|[+]01:00)$/),
    )
    let plain = 0
    const compare = (a: string) => {
      if (read === null || read({ a }) === null) return
      plain += 1
      expect(schema.safeParse({ a })).toStrictEqual({ success: true, data: { a } })
    }
    fc.assert(fc.property(times, compare), { seed, numRuns: 2_000 })
    expect(plain).toBeGreaterThan(50)
  })

  it.each(Object.entries(unread))('is not one with %s', (_what, schema) => {
    expect(compileReader(schema)).toBeNull()
  })
})
