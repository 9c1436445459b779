import { describe, expect, it } from 'vitest'
import { compilePolicy, parsePolicy, type PolicyInput } from '../../src/scoring/policy.ts'

const names = ['payments_5m', 'mean_30d']
const policy = parsePolicy({
  format: 1,
  version: '3',
  thresholds: { review: 0.1, block: 0.8 },
  block: { customers: ['thief'], terminals: ['broken'] },
  allow: { customers: ['friend', 'thief'] },
  rules: [
    {
      name: 'burst',
      when: [
        { value: 'payments_5m', is: '>=', than: 5 },
        { value: 'score', is: '>', than: 0.05 },
      ],
      decision: 'block',
    },
    { name: 'small', when: [{ value: 'amountMinor', is: '<', than: 100 }], decision: 'approve' },
    {
      name: 'unusual',
      when: [
        { value: 'mean_30d', is: '!=', than: 0 },
        { value: 'mean_30d', is: '<=', than: 1 },
      ],
      decision: 'review',
    },
  ],
})
const decide = compilePolicy(policy, names)
const input = (change: Partial<PolicyInput> = {}): PolicyInput => ({
  customerId: 'c',
  terminalId: 't',
  amountMinor: 5_000,
  score: 0.5,
  values: [1, 50],
  ...change,
})

describe('a policy', () => {
  it.each([
    ['the model decides where nothing else does', {}, 'review', 'model'],
    ['at the threshold', { score: 0.8 }, 'block', 'model'],
    ['below both', { score: 0.0999 }, 'approve', 'model'],
    ['a blocked customer, also an allowed one', { customerId: 'thief', score: 0 }, 'block', 'block_list:customer'],
    ['a blocked terminal', { terminalId: 'broken' }, 'block', 'block_list:terminal'],
    [
      'an allowed customer, whatever the score and the rules',
      { customerId: 'friend', score: 1, values: [9, 1] },
      'approve',
      'allow_list:customer',
    ],
    ['the first rule that holds', { values: [5, 0.5], amountMinor: 1 }, 'block', 'rule:burst'],
    [
      'a rule with a condition that does not hold is passed over',
      { values: [5, 50], score: 0.05, amountMinor: 1 },
      'approve',
      'rule:small',
    ],
    ['two conditions on one value', { values: [0, 1] }, 'review', 'rule:unusual'],
    ['no condition holds for a value that is missing', { values: [null, null], score: 0.9 }, 'block', 'model'],
  ] as const)('%s', (_what, change, decision, decidedBy) => {
    expect(decide(input(change))).toEqual({ decision, decidedBy })
  })

  const valid = { format: 1, version: '1', thresholds: { review: 0.1, block: 0.9 } }
  const rule = { name: 'a', when: [{ value: 'score', is: '>', than: 0.7 }], decision: 'block' }
  it.each([
    ['of another format', { ...valid, format: 2 }, 'format'],
    [
      'with crossed thresholds',
      { ...valid, thresholds: { review: 0.9, block: 0.1 } },
      'review must not be above block',
    ],
    ['with a threshold that is no probability', { ...valid, thresholds: { review: -1, block: 2 } }, 'thresholds'],
    ['with an unknown member', { ...valid, rule: [] }, 'rule'],
    ['with a rule without conditions', { ...valid, rules: [{ ...rule, when: [] }] }, 'when'],
    ['with an id twice in a list', { ...valid, block: { customers: ['a', 'a'] } }, 'has an id twice'],
    ['with an empty id in a list', { ...valid, allow: { terminals: [''] } }, 'terminals'],
    [
      'with a rule whose conditions exclude each other',
      { ...valid, rules: [{ ...rule, when: [...rule.when, { value: 'score', is: '<', than: 0.7 }] }] },
      'rule a never decides: its conditions on score never hold together',
    ],
    [
      'with a score that no model answers',
      { ...valid, rules: [{ ...rule, when: [{ value: 'score', is: '>', than: 1 }] }] },
      'rule a never decides',
    ],
    [
      'with a rule behind one that decides all its payments',
      { ...valid, rules: [rule, { ...rule, name: 'b', when: [{ value: 'score', is: '>=', than: 0.8 }] }] },
      'rule b never decides: whatever it holds for is decided by a before it',
    ],
    ['with two rules of one name', { ...valid, rules: [rule, rule] }, 'two rules are named a'],
    ['that is no object', 'policy', 'expected object'],
  ])('%s is refused', (_what, json, words) => {
    expect(() => parsePolicy(json)).toThrow(
      expect.objectContaining({ code: 'policy_invalid', message: expect.stringContaining(words) as string }),
    )
  })

  it('over a feature that the service does not have is refused, with its name', () => {
    const other = parsePolicy({ ...valid, rules: [{ ...rule, when: [{ value: 'weather', is: '>', than: 1 }] }] })
    expect(() => compilePolicy(other, names)).toThrow('rule a reads weather')
  })
})
