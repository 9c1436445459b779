import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRiverbankError } from '../../../src/base/errors.ts'
import { observe } from '../../../src/engine/observe.ts'
import type { EntityPlan } from '../../../src/engine/plan.ts'
import type { SlotPlan, TileGroupPlan } from '../../../src/engine/tile-group.ts'
import type { Accumulator } from '../../../src/engine/tiles/slot.ts'
import { emptyRow, putValue, type TileRow } from '../../../src/engine/tiles/tile-row.ts'
import { plainTables, tableOfRows, type TileTable } from '../../../src/engine/tiles/tiles.ts'
import { recentIdsOf } from '../../../src/engine/state/recent-ids.ts'
import { decodeState, encodeState, stateVersion } from '../../../src/engine/state-codec/state-blob.ts'
import { stateTiles, type EntityState, type StoredResponse } from '../../../src/engine/state/state.ts'
import { customerPlan, frozen, paymentTouch, terminalPlan } from '../support/plans.ts'
import { testSeed as seed } from '../../support/seed.ts'

const plain = { noNullPrototype: true } as const
const offset = fc.integer({ min: 0, max: 2 ** 48 })
const featureValue = fc.oneof(
  fc.constantFrom(null, 0, -0, 1, 2 ** 47, 2 ** 48, -(2 ** 48), 2 ** 53, 0.1, -0.5, Number.MIN_VALUE, Number.MAX_VALUE),
  fc.integer(),
  fc.double({ noNaN: true }),
)

/** Ascending, without repetition. */
const ascending = (element: fc.Arbitrary<number>, maxLength: number) =>
  fc.uniqueArray(element, { maxLength }).map((values) => values.sort((a, b) => a - b))

/** What a slot of this kind can hold in a tile that begins at a given time. */
function accumulator({ kind, size }: SlotPlan): fc.Arbitrary<(tileMs: number) => Accumulator> {
  const integer = fc.integer({ min: -(2 ** 50), max: 2 ** 50 })
  const within = fc.integer({ min: 0, max: 86_399_999 })
  const fixed = (value: fc.Arbitrary<Accumulator>) => value.map((found) => () => found)
  switch (kind) {
    case 'count':
      return fixed(fc.integer({ min: 0, max: 2 ** 52 }))
    case 'sum':
      return fixed(integer)
    case 'square_sum':
      return fixed(
        fc.oneof(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.bigInt({ min: 2n ** 53n, max: 2n ** 100n })),
      )
    case 'min':
    case 'max':
      return fixed(fc.option(integer))
    case 'oldest_time':
    case 'newest_time':
      return fc.option(within).map((ms) => (tileMs: number) => (ms === null ? null : tileMs + ms))
    case 'oldest':
    case 'newest':
      return fc
        .array(fc.tuple(within, integer), { maxLength: size })
        .map((points) => (tileMs: number) => points.map(([ms, value]) => ({ timeMs: tileMs + ms, value })))
    case 'distinct':
      return fixed(fc.uniqueArray(fc.oneof(integer, fc.string()), { maxLength: size })).map((make) => () => {
        const found = make()
        return found ?? []
      })
  }
}

/** `undefined` leaves a slot empty. */
function rowWith(
  { layout, slots }: TileGroupPlan,
  tile: number,
  valueOf: (slot: SlotPlan, number: number) => Accumulator | undefined,
): TileRow {
  const row = emptyRow(layout, tile)
  for (const [number, slot] of slots.entries()) {
    const value = valueOf(slot, number)
    if (value !== undefined) putValue(row, slot, value)
  }
  return row
}

function stateOf(plan: EntityPlan): fc.Arbitrary<EntityState> {
  const tiles = plan.groups.map((group) =>
    ascending(fc.integer({ min: -(10 ** 9), max: 10 ** 10 }), 12).chain((index) => {
      const rows = { minLength: index.length, maxLength: index.length }
      const columns = group.slots.map((slot) => fc.array(accumulator(slot), rows))
      const base = fc.option(fc.tuple(...group.slots.map((slot) => accumulator(slot))))
      const missing = fc.option(fc.record({ since: offset, tile: fc.integer() }, plain))
      const missingHistory = fc.option(fc.tuple(...group.slots.map(() => missing)))
      return fc
        .tuple(fc.tuple(...columns), base, fc.option(fc.integer()), missingHistory)
        .map(([found, ofBase, cappedTile, ofGaps]): TileTable => ({
          ...tableOfRows(
            group.layout,
            index.map((tile, row) => rowWith(group, tile, (_slot, k) => found[k]?.[row]?.(tile * group.hopMs) ?? null)),
          ),
          base:
            ofBase === null
              ? null
              : rowWith(group, 0, (slot, k) => (slot.lifetime ? (ofBase[k]?.(0) ?? null) : undefined)),
          cappedTile,
          missingHistory: ofGaps,
        }))
    }),
  )
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const id = fc.tuple(int32, int32, offset, fc.integer({ min: 0, max: 2_500_000 }))
  const half = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const subjects = fc
    .array(fc.tuple(half, half, half, fc.integer({ min: -400_000, max: 500_000 })), {
      maxLength: plan.partitionKey ? 5 : 0,
    })
    .map((all) => ({
      numbers: all.flat(),
      newestHour: all.length === 0 ? null : Math.max(...all.map(([, , , hour]) => hour)),
    }))
  const unsigned = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const labelsOf = (incarnation: number) =>
    fc.array(
      fc.record(
        {
          ...{ high: unsigned, low: unsigned, timeMs: fc.integer({ min: -(10 ** 12), max: 10 ** 13 }) },
          eventTimeMs: fc.integer({ min: -(10 ** 12), max: 10 ** 13 }),
          ...{ sequence: fc.integer({ min: incarnation, max: incarnation + 1_000 }), eventType: fc.string() },
          data: fc.dictionary(fc.constantFrom('amount', 'kind'), fc.oneof(fc.integer(), fc.string()), plain),
        },
        plain,
      ),
      { maxLength: 3 },
    )
  const hash = fc.record({ high: unsigned, low: unsigned }, plain)
  const waitingLabel = fc.record(
    { subject: hash, label: hash, appendTimeMs: fc.nat(2 ** 41), record: fc.string({ unit: 'grapheme' }) },
    plain,
  )
  const recentIds = fc
    .array(id, { maxLength: plan.partitionKey ? 20 : 0 })
    .map((ids) => recentIdsOf(ids.map(([high, low, at, appendHour]) => ({ high, low, offset: at, appendHour }))))
  return fc.integer({ min: 0, max: 2 ** 52 }).chain((incarnation) => {
    const response: fc.Arbitrary<StoredResponse> = fc.record(
      {
        offset,
        sequence: fc.integer({ min: incarnation, max: incarnation + 1_000 }),
        incarnation: fc.constant(incarnation),
        outcome: fc.constantFrom('applied' as const, 'too_late' as const, 'duplicate' as const),
        features: fc.option(fc.array(featureValue, { maxLength: 40 })),
        flags: fc.constant([]),
        released: fc.array(fc.string(), { maxLength: plan.partitionKey ? 2 : 0 }),
      },
      plain,
    )
    const partitions = ascending(fc.integer({ min: 0, max: 300 }), 4).chain((numbers) =>
      fc.tuple(
        ...numbers.map((partition) =>
          fc.record(
            {
              partition: fc.constant(partition),
              next: offset,
              responses: fc.array(response, { maxLength: 6 }),
            },
            plain,
          ),
        ),
      ),
    )
    return fc
      .record(
        {
          sequence: fc.constant(incarnation + 1_001),
          incarnation: fc.constant(incarnation),
          newestTimeMs: fc.option(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 })),
          tiles: fc.tuple(...tiles),
          recentIds,
          subjects,
          labels: labelsOf(incarnation),
          waiting: fc.array(waitingLabel, { maxLength: plan.partitionKey ? 3 : 0 }),
          partitions,
        },
        plain,
      )
      .map(({ tiles: tables, ...rest }): EntityState => ({ ...rest, ...stateTiles(tables) }))
  })
}

function codeOf(run: () => unknown): unknown {
  try {
    run()
    return 'no error'
  } catch (error) {
    return isRiverbankError(error) ? error.code : error
  }
}

const observed = (() => {
  const observations = Array.from({ length: 5 }, (_, i) => ({
    offset: 10 + i,
    appendTimeMs: 1_780_000_000_000 + i,
    eventId: `e${i}`,
    timeMs: 1_780_000_000_000 - i * 1_000,
    eventTimeMs: 1_780_000_000_000,
    data: { customerId: 'c', terminalId: 't', amountMinor: 12_345 },
    binding: paymentTouch.customer,
    reads: true,
    verdict: null,
  }))
  const { state } = observe(customerPlan, null, observations, 3, 10)
  if (state === null) throw new Error('there is a state')
  return state
})()

const asMeant = (plan: EntityPlan, { firstTiles, moreTiles, ...rest }: EntityState) => ({
  ...rest,
  tiles: plainTables(plan, [firstTiles, ...moreTiles]),
})

describe('a state as bytes', () => {
  it.each([customerPlan, terminalPlan])('comes back as it was: $name', (plan) => {
    fc.assert(
      fc.property(stateOf(plan), (state) => {
        const unwritten = structuredClone(state)
        const blob = encodeState(plan, frozen(state))
        const back = decodeState(plan, blob)
        // toStrictEqual tells -0 from 0, and null from undefined.
        expect(asMeant(plan, back)).toStrictEqual(asMeant(plan, unwritten))
        expect(encodeState(plan, back)).toEqual(blob)
        expect(stateVersion(blob).length).toBe(12)
      }),
      { seed, numRuns: 300 },
    )
  })

  it('I1: keeps ids whose offsets go up and down: a customer that a producer spread over partitions', () => {
    const recentIds = recentIdsOf([
      { high: 1, low: 2, offset: 7, appendHour: 5 },
      { high: 3, low: 4, offset: 3, appendHour: 5 },
      { high: 5, low: 6, offset: 2 ** 40, appendHour: 4 },
    ])
    const state = { ...observed, recentIds }
    expect(decodeState(customerPlan, encodeState(customerPlan, state)).recentIds).toEqual(recentIds)
  })

  it('has a version that changes with the sequence and with anything in it', () => {
    const hex = (state: EntityState) => Buffer.from(stateVersion(encodeState(customerPlan, state))).toString('hex')
    const versions = new Set([
      hex(observed),
      hex({ ...observed, sequence: observed.sequence + 1 }),
      hex({ ...observed, newestTimeMs: 0 }),
      hex({ ...observed, partitions: [] }),
    ])
    expect(versions.size).toBe(4)
    expect(hex({ ...observed })).toBe(hex(observed))
  })

  it('is refused when any byte of it is another: nothing in it means something else unnoticed', () => {
    const blob = encodeState(customerPlan, observed)
    for (let at = 0; at < blob.length; at += 1) {
      const code = at === 0 ? 'state_layout' : 'state_corrupt'
      for (let flip = 1; flip < 256; flip += 1) {
        const damaged = blob.slice()
        damaged[at] = (damaged[at] ?? 0) ^ flip
        const found = codeOf(() => decodeState(customerPlan, damaged))
        if (found !== code) throw new Error(`byte ${at} ^ ${flip}: ${String(found)}`)
      }
    }
  })

  it('is refused when it is cut off or goes on', () => {
    const blob = encodeState(customerPlan, observed)
    for (let length = 1; length < blob.length; length += 1) {
      expect(
        codeOf(() => decodeState(customerPlan, blob.subarray(0, length))),
        `${length} bytes`,
      ).toBe('state_corrupt')
    }
    expect(codeOf(() => decodeState(customerPlan, new Uint8Array()))).toBe('state_corrupt')
    expect(codeOf(() => decodeState(customerPlan, Uint8Array.of(...blob, 0)))).toBe('state_corrupt')
  })

  it('is refused by a plan with another layout', () => {
    const blob = encodeState(customerPlan, observed)
    expect(codeOf(() => decodeState(terminalPlan, blob))).toBe('state_layout')
    expect(codeOf(() => decodeState({ ...customerPlan, layout: customerPlan.layout ^ 1 }, blob))).toBe('state_layout')
  })
})
