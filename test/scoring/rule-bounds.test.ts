import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deadRule, type BoundCondition, type Domain } from '../../src/scoring/rule-bounds.ts'

const comparisons = { '<': 0, '<=': 0, '>': 0, '>=': 0, '==': 0, '!=': 0 } as const
const signs = Object.keys(comparisons) as BoundCondition['is'][]

function holds({ is, than }: BoundCondition, value: number | string | boolean): boolean {
  const answers = { '<': value < than, '<=': value <= than, '>': value > than, '>=': value >= than }
  return is === '==' ? value === than : is === '!=' ? value !== than : answers[is]
}

/** A whole number and a boolean that are always there, a text that may be missing. */
const known: ReadonlyMap<string, Domain> = new Map([
  ['score', { low: 0, high: 1, whole: false, always: true }],
  ['amountMinor', { low: -Infinity, high: Infinity, whole: true, always: true }],
  ['isNew', { low: 0, high: 1, whole: true, always: true }],
])

/** Every number that can matter where conditions name no others than these: they, and what lies between and beyond. */
const named = [-1, 0, 0.5, 1, 2]
const between = [-2, -0.5, 0.25, 0.75, 1.5, 3]
const domains: Readonly<Record<string, readonly (number | string | boolean | null)[]>> = {
  feature: [...named, ...between, null],
  score: [0, 0.5, 1, 0.25, 0.75],
  amountMinor: [-3, -2, -1, 0, 1, 2, 3, 4],
  isNew: [true, false],
  currency: ['EUR', 'USD', 'another', null],
}

const equality = fc.constantFrom<'==' | '!='>('==', '!=')
const condition: fc.Arbitrary<BoundCondition> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      value: fc.constantFrom('feature', 'score', 'amountMinor'),
      is: fc.constantFrom(...signs),
      than: fc.constantFrom(...named),
    }),
  },
  fc.record({ value: fc.constant('isNew'), is: equality, than: fc.boolean() }),
  fc.record({ value: fc.constant('currency'), is: equality, than: fc.constantFrom('EUR', 'USD') }),
)

describe('rules that can never decide', () => {
  it('are exactly those that decide for no value at all, or only for what one earlier rule decides', () => {
    const rules = fc.array(fc.array(condition, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
    let dead = 0
    fc.assert(
      fc.property(rules, (drawn) => {
        const inputs = Object.entries(domains).reduce<Record<string, number | string | boolean | null>[]>(
          (known, [name, values]) => known.flatMap((input) => values.map((value) => ({ ...input, [name]: value }))),
          [{}],
        )
        const meets = (when: readonly BoundCondition[], input: Record<string, number | string | boolean | null>) =>
          when.every((one) => {
            const value = input[one.value] ?? null
            return value !== null && holds(one, value)
          })
        const expected = drawn.findIndex((when, i) => {
          const own = inputs.filter((input) => meets(when, input))
          return own.length === 0 || drawn.slice(0, i).some((earlier) => own.every((input) => meets(earlier, input)))
        })
        const found = deadRule(
          drawn.map((when, i) => ({ name: `${i}`, when })),
          known,
        )
        expect(found?.name ?? '-1').toBe(`${expected}`)
        if (found !== null) dead += 1
      }),
      { numRuns: 1_000 },
    )
    expect(dead).toBeGreaterThan(100)
  })

  it('are told with why', () => {
    const rule = (name: string, ...when: BoundCondition[]) => ({ name, when })
    const above = { value: 'score', is: '>', than: 0.5 } as const
    expect(deadRule([rule('a', above), rule('b', { value: 'score', is: '<', than: 0.5 })], known)).toBeNull()
    expect(deadRule([rule('a', above, { value: 'score', is: '<', than: 0.5 })], known)?.why).toContain(
      'score never hold',
    )
    expect(deadRule([rule('a', { value: 'score', is: '>', than: 1 })], known)?.why).toContain('score never hold')
    const narrower = { value: 'score', is: '>=', than: 0.75 } as const
    expect(deadRule([rule('a', above), rule('b', narrower)], known)).toEqual({
      name: 'b',
      why: 'whatever it holds for is decided by a before it',
    })
  })
})
