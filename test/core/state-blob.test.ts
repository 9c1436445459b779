import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRiverbankError } from '../../src/core/errors.ts'
import { observe } from '../../src/core/observe.ts'
import type { EntityPlan } from '../../src/core/plan.ts'
import { decodeState, encodeState, stateVersion } from '../../src/core/state-blob.ts'
import type { EntityState, Snapshot } from '../../src/core/state.ts'
import { customerPlan, frozen, paymentTouch, terminalPlan } from './support/plans.ts'

const seed = Date.now() % 1_000_000
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

function stateOf(plan: EntityPlan): fc.Arbitrary<EntityState> {
  const tiles = plan.groups.map((group) =>
    ascending(fc.integer({ min: -(10 ** 9), max: 10 ** 10 }), 12).chain((index) => {
      const column = fc.array(fc.integer({ min: 0, max: 2 ** 52 }), {
        minLength: index.length,
        maxLength: index.length,
      })
      return fc.tuple(...group.slots.map(() => column)).map((slots) => ({ index, slots }))
    }),
  )
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const id = fc.tuple(int32, int32, offset, fc.integer({ min: 0, max: 2_500_000 }))
  const recentIds = fc.array(id, { maxLength: plan.partitionKey ? 20 : 0 }).map((ids) => ({
    hashes: ids.flatMap(([high, low]) => [high, low]),
    offsets: ids.map(([, , at]) => at),
    appendHours: ids.map(([, , , hour]) => hour),
  }))
  return fc.integer({ min: 0, max: 2 ** 52 }).chain((born) => {
    const snapshot: fc.Arbitrary<Snapshot> = fc.record(
      {
        offset,
        sequence: fc.integer({ min: born, max: born + 1_000 }),
        born: fc.constant(born),
        outcome: fc.constantFrom('applied' as const, 'too_late' as const, 'duplicate' as const),
        features: fc.option(fc.array(featureValue, { maxLength: 40 })),
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
              snapshots: fc.array(snapshot, { maxLength: 6 }),
            },
            plain,
          ),
        ),
      ),
    )
    return fc.record(
      {
        sequence: fc.constant(born + 1_001),
        born: fc.constant(born),
        newestTimeMs: fc.option(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 })),
        tiles: fc.tuple(...tiles),
        recentIds,
        partitions,
      },
      plain,
    )
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
    data: { customerId: 'c', amountMinor: 12_345 },
    touch: paymentTouch.customer,
    reads: true,
    duplicate: false,
  }))
  const { state } = observe(customerPlan, null, observations, 3, 10)
  if (state === null) throw new Error('there is a state')
  return state
})()

describe('a state as bytes', () => {
  it.each([customerPlan, terminalPlan])('comes back as it was: $name', (plan) => {
    fc.assert(
      fc.property(stateOf(plan), (state) => {
        const blob = encodeState(plan, frozen(state))
        const back = decodeState(plan, blob)
        // toStrictEqual tells -0 from 0, and null from undefined.
        expect(back).toStrictEqual(state)
        expect(encodeState(plan, back)).toEqual(blob)
        expect(stateVersion(blob).length).toBe(12)
      }),
      { seed, numRuns: 300 },
    )
  })

  it('I1: keeps ids whose offsets go up and down: a customer that a producer spread over partitions', () => {
    const recentIds = { hashes: [1, 2, 3, 4, 5, 6], offsets: [7, 3, 2 ** 40], appendHours: [5, 5, 4] }
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
