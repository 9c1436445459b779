import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deadRule, type BoundCondition } from '../../src/scoring/rule-bounds.ts'

const comparisons = { '<': 0, '<=': 0, '>': 0, '>=': 0, '==': 0, '!=': 0 } as const
const signs = Object.keys(comparisons) as BoundCondition['is'][]

function holds({ is, than }: BoundCondition, value: number): boolean {
  const answers = { '<': value < than, '<=': value <= than, '>': value > than, '>=': value >= than }
  return is === '==' ? value === than : is === '!=' ? value !== than : answers[is]
}

/** Every number that can matter where conditions name no others than these: they, and what lies between and beyond. */
const named = [-1, 0, 0.5, 1, 2]
const between = [-2, -0.5, 0.25, 0.75, 1.5, 3]
const domains: Readonly<Record<string, readonly (number | null)[]>> = {
  feature: [...named, ...between, null],
  score: [0, 0.5, 1, 0.25, 0.75],
  amountMinor: [-3, -2, -1, 0, 1, 2, 3, 4],
}

const condition: fc.Arbitrary<BoundCondition> = fc.record({
  value: fc.constantFrom(...Object.keys(domains)),
  is: fc.constantFrom(...signs),
  than: fc.constantFrom(...named),
})

describe('rules that can never decide', () => {
  it('are exactly those that decide for no value at all, or only for what one earlier rule decides', () => {
    const rules = fc.array(fc.array(condition, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
    let dead = 0
    fc.assert(
      fc.property(rules, (drawn) => {
        const inputs = (domains['feature'] ?? []).flatMap((feature) =>
          (domains['score'] ?? []).flatMap((score) =>
            (domains['amountMinor'] ?? []).map((amountMinor): Record<string, number | null> => ({
              feature,
              score,
              amountMinor,
            })),
          ),
        )
        const meets = (when: readonly BoundCondition[], input: Record<string, number | null>) =>
          when.every((one) => {
            const value = input[one.value] ?? null
            return value !== null && holds(one, value)
          })
        const expected = drawn.findIndex((when, i) => {
          const own = inputs.filter((input) => meets(when, input))
          return own.length === 0 || drawn.slice(0, i).some((earlier) => own.every((input) => meets(earlier, input)))
        })
        const found = deadRule(drawn.map((when, i) => ({ name: `${i}`, when })))
        expect(found?.name ?? '-1').toBe(`${expected}`)
        if (found !== null) dead += 1
      }),
      { numRuns: 3_000 },
    )
    expect(dead).toBeGreaterThan(100)
  })

  it('are told with why', () => {
    const rule = (name: string, ...when: BoundCondition[]) => ({ name, when })
    const above = { value: 'score', is: '>', than: 0.5 } as const
    expect(deadRule([rule('a', above), rule('b', { value: 'score', is: '<', than: 0.5 })])).toBeNull()
    expect(deadRule([rule('a', above, { value: 'score', is: '<', than: 0.5 })])?.why).toContain('score never hold')
    expect(deadRule([rule('a', { value: 'score', is: '>', than: 1 })])?.why).toContain('score never hold')
    const narrower = { value: 'score', is: '>=', than: 0.75 } as const
    expect(deadRule([rule('a', above), rule('b', narrower)])).toEqual({
      name: 'b',
      why: 'whatever it holds for is decided by a before it',
    })
  })
})
