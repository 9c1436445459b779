import { describe, expect, it } from 'vitest'
import type { FeatureManifest } from '../../../src/engine/feature-set.ts'
import { createReasonWriter, reasonsMax, type FeatureStats } from '../../../src/scoring/explain/reason.ts'
import { type ReasonForm } from '../../../src/engine/reason-form.ts'

function feature(name: string, reason?: ReasonForm): FeatureManifest {
  const rest = { type: 'double', nullable: false, entity: null, view: null, definition: null } as const
  return { name, description: `what ${name} is`, ...rest, ...(reason === undefined ? {} : { reason }) }
}

function told(reason: ReasonForm | undefined, value: number, stats: FeatureStats | null = null): string | undefined {
  const write = createReasonWriter(['f'], [feature('f', reason)])
  return write({ contributions: [1], values: [value], stats: [stats] })[0]?.text
}

const measure = (text: string, unit: 'number' | 'amount' | 'minor_units' | 'share' | 'times' | 'seconds' = 'number') =>
  ({ kind: 'measure', code: 'c', text, unit }) as const
const night = { kind: 'condition', code: 'night', yes: 'at night', no: 'by day' } as const

describe('the sentence of a reason', () => {
  it.each([
    [measure('{value} payment{s} in 5 minutes'), 7, { mean: 0.2, median: 0 }, '7 payments in 5 minutes, usually 0.2'],
    [measure('{value} payment{s} in 5 minutes'), 1, null, '1 payment in 5 minutes'],
    [
      measure('a payment of {value}', 'amount'),
      879.25,
      { mean: 60, median: 45.5 },
      'a payment of 879.25, usually 45.50',
    ],
    [measure('{value} spent', 'minor_units'), 40_523, null, '405.23 spent'],
    [measure('{value} were fraud', 'share'), 0.6739130616, null, '67.4% were fraud'],
    [measure('{value} the mean', 'times'), 4.0551, { mean: 1.1, median: 1 }, '4.06 times the mean, usually 1 times'],
    [measure('{value} later', 'seconds'), 90, { mean: 1, median: 86_400 }, '1.5 minutes later, usually 1 day'],
    [measure('{value} later', 'seconds'), 0, null, '0 seconds later'],
    [night, 1, { mean: 0.125, median: 0 }, 'at night, like 12.5% of events'],
    [night, 0, { mean: 0.125, median: 0 }, 'by day, like 87.5% of events'],
    [night, 1, null, 'at night'],
    [undefined, 2.5, null, 'what f is: 2.5'],
  ] as const)('%j of %f', (form, value, stats, text) => {
    expect(told(form, value, stats)).toBe(text)
  })
})

describe('the reasons of a score', () => {
  it('are what pushed towards fraud, the strongest first, with equal ones in the order of the vector', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const write = createReasonWriter(names, [])
    const reasons = write({
      contributions: [0.5, -3, 0, 2, 0.5, 0.5, 0.4],
      values: [1, 2, 3, 4, 5, 6, 7],
      stats: names.map(() => null),
    })
    expect(reasons.map(({ code }) => code)).toEqual(['d', 'a', 'e', 'f'])
    expect(reasons).toHaveLength(reasonsMax)
    expect(reasons[0]).toEqual({ code: 'd', text: 'd: 4', feature: 'd', value: 4, contribution: 2 })
  })

  it('are none where everything speaks against fraud', () => {
    expect(createReasonWriter(['a'], [])({ contributions: [-1], values: [1], stats: [null] })).toEqual([])
  })
})
