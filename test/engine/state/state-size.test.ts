import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'
import { observe } from '../../../src/engine/observe.ts'
import type { Observation } from '../../../src/engine/observation.ts'
import type { EntityPlan, EntityBinding } from '../../../src/engine/plan.ts'
import { noWaiting } from '../../../src/engine/state/waiting-labels.ts'
import { noLabels } from '../../../src/engine/state/labels.ts'
import { noSubjects } from '../../../src/engine/state/subjects.ts'
import { noIds } from '../../../src/engine/state/recent-ids.ts'
import type { Accumulator } from '../../../src/engine/tiles/slot.ts'
import { encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { stateBytes } from '../../../src/engine/state/state-size.ts'
import { stateTiles, type EntityState } from '../../../src/engine/state/state.ts'
import { emptyRow, putValue } from '../../../src/engine/tiles/tile-row.ts'
import { tableOfRows } from '../../../src/engine/tiles/tiles.ts'
import { customerPlan, paymentTouch, terminalPlan } from '../support/plans.ts'
import { groupOf } from '../support/slots.ts'

const minuteMs = 60_000
const beginMs = Date.UTC(2026, 2, 1)

let collect: () => void
beforeAll(() => {
  setFlagsFromString('--expose-gc')
  collect = runInNewContext('gc') as () => void
})

function heapBytes(): number {
  // The memory of an array's bytes is given back only after the array itself.
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/**
 * What the heap grows by for each of many states, and what they are said to take, on average. The median of three: it
 * also grows by what the compiler and the test runner do meanwhile.
 */
function measured(make: () => readonly EntityState[]): { readonly grown: number; readonly said: number } {
  const rounds = [1, 2, 3].map(() => measuredOnce(make)).sort((a, b) => a.grown - b.grown)
  const [, median] = rounds
  if (median === undefined) throw new Error('three rounds have a median')
  return median
}

function measuredOnce(make: () => readonly EntityState[]): { readonly grown: number; readonly said: number } {
  // Once before, so that compiled code and the dictionary of values are there.
  expect(make()).not.toHaveLength(0)
  const before = heapBytes()
  const states = make()
  const grown = (heapBytes() - before) / states.length
  return { grown, said: states.reduce((sum, state) => sum + stateBytes(state), 0) / states.length }
}

/** States as a processor gets them: one observation after the other, written after each. */
function observedStates(plan: EntityPlan, binding: EntityBinding, count: number, payments: number): EntityState[] {
  const states: (EntityState | null)[] = new Array<null>(count).fill(null)
  for (let step = 0; step < payments; step += 1) {
    for (let i = 0; i < count; i += 1) {
      const timeMs = beginMs + step * minuteMs
      const data = { customerId: `c${i}`, terminalId: `t${step % 500}`, amountMinor: 100 + step, currency: 'EUR' }
      const times = { timeMs, eventTimeMs: timeMs, appendTimeMs: timeMs }
      const seen: Observation = {
        offset: step,
        eventId: `e${i}-${step}`,
        ...times,
        data,
        binding,
        reads: true,
        verdict: null,
      }
      const { state } = observe(plan, states[i] ?? null, [seen], 0, step)
      if (state !== null) encodeState(plan, state)
      states[i] = state
    }
  }
  return states.filter((state) => state !== null)
}

/** In one piece, as what was read from bytes is. */
const text = (parts: string) => Buffer.from(parts).toString()

/** Points and texts, which stand in lists of their own. */
function listedStates(count: number, rows: number): EntityState[] {
  const shapes = [
    { kind: 'newest', size: 5, lifetime: false },
    { kind: 'distinct', size: 8, lifetime: false },
  ] as const
  const { layout, slots } = groupOf(shapes, [], rows, minuteMs)
  const valueOf = (i: number, row: number): readonly Accumulator[] => [
    Array.from({ length: 5 }, (_, n) => ({ timeMs: beginMs + row * minuteMs + n + 0.5, value: row + 0.5 })),
    Array.from({ length: 4 }, (_, n) => text(`value ${i} of row ${row} and number ${n}`)),
  ]
  return Array.from({ length: count }, (_, i) => {
    const filled = Array.from({ length: rows }, (_, row) => {
      const made = emptyRow(layout, row)
      for (const [number, slot] of slots.entries()) putValue(made, slot, valueOf(i, row)[number] ?? null)
      return made
    })
    const times = { sequence: 1, incarnation: 0, newestTimeMs: beginMs }
    const memory = { recentIds: noIds, subjects: noSubjects, labels: noLabels, waiting: noWaiting }
    return { ...times, ...memory, ...stateTiles([tableOfRows(layout, filled)]), partitions: [] }
  })
}

describe('the size of a state is at least what the heap grows by, and less than twice that', () => {
  it.each([1, 8, 36, 200])('of a customer and of a terminal with %d payments', (payments) => {
    const count = Math.floor(10_000 / Math.max(10, payments))
    for (const name of ['customer', 'terminal'] as const) {
      const plan = name === 'customer' ? customerPlan : terminalPlan
      const { grown, said } = measured(() => observedStates(plan, paymentTouch[name], count, payments))
      expect(said, `${name}: ${grown} bytes`).toBeGreaterThan(0.9 * grown)
      expect(said, `${name}: ${grown} bytes`).toBeLessThan(2 * grown)
    }
  })

  it('of lists of points and of texts', () => {
    const { grown, said } = measured(() => listedStates(200, 50))
    expect(said, `${grown} bytes`).toBeGreaterThan(0.9 * grown)
    expect(said, `${grown} bytes`).toBeLessThan(2 * grown)
  })
})
