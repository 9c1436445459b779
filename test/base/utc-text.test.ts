import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { utcMsOf, utcTextOf } from '../../src/base/utc-text.ts'
import { testSeed as seed } from '../support/seed.ts'

const iso = z.iso.datetime()
const expected = (text: string) => (iso.safeParse(text).success ? Date.parse(text) : NaN)
const padded = (number: number, length = 2) => String(number).padStart(length, '0')

it('reads times as Date.parse does, and takes those that zod takes', () => {
  const two = (max: number) => fc.integer({ min: 0, max }).map((number) => padded(number))
  const parts = fc.tuple(
    fc.integer({ min: 0, max: 9999 }),
    two(13),
    two(32),
    two(25),
    two(61),
    two(61),
    fc.nat({ max: 999 }),
  )
  fc.assert(
    fc.property(parts, ([year, month, day, hour, minute, second, ms]) => {
      const text = `${padded(year, 4)}-${month}-${day}T${hour}:${minute}:${second}.${padded(ms, 3)}Z`
      expect(utcMsOf(text), text).toBe(expected(text))
    }),
    { seed, numRuns: 3_000 },
  )
})

it('knows the calendar', () => {
  const years = [0, 1, 3, 4, 99, 100, 399, 400, 1582, 1899, 1900, 1969, 1970, 1972, 1999, 2000, 2026, 2028, 2100, 9999]
  for (const year of years) {
    for (let month = 0; month <= 13; month += 1) {
      for (let day = 0; day <= 32; day += 1) {
        const text = `${padded(year, 4)}-${padded(month)}-${padded(day)}T00:00:00.000Z`
        if (!Object.is(utcMsOf(text), expected(text))) expect.fail(`${text}: ${utcMsOf(text)}, not ${expected(text)}`)
      }
    }
  }
})

it('writes times as toISOString does, in every year that a Date has', () => {
  const ms = fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.integer({ min: -1e14, max: 3e14 }))
  fc.assert(
    fc.property(ms, (time) => {
      expect(utcTextOf(time)).toBe(new Date(time).toISOString())
    }),
    { seed, numRuns: 10_000 },
  )
  for (const year of [0, 1, 4, 100, 400, 1900, 1970, 2000, 2028, 2100, 9999]) {
    for (let day = 1; day <= 366; day += 1) {
      const time = Date.parse(`${padded(year, 4)}-01-01T00:00:00.000Z`) + day * 86_400_000 - 1
      expect(utcTextOf(time)).toBe(new Date(time).toISOString())
    }
  }
})
