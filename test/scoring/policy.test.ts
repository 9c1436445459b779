import { describe, expect, it } from 'vitest'
import { compilePolicy, parsePolicy, type PolicyInput, type PolicyScope } from '../../src/scoring/policy.ts'

const scope: PolicyScope = {
  names: ['payments_5m', 'mean_30d'],
  entities: ['customer', 'terminal'],
  fields: new Map([
    ['amountMinor', { kind: 'number', whole: true, optional: false }],
    ['currency', { kind: 'text', whole: false, optional: false }],
    ['isRecurring', { kind: 'boolean', whole: false, optional: true }],
  ]),
}
const policy = parsePolicy({
  format: 2,
  version: '3',
  thresholds: { review: 0.1, block: 0.8 },
  block: { terminal: ['broken'], customer: ['thief'] },
  allow: { customer: ['friend', 'thief'] },
  rules: [
    {
      name: 'burst',
      when: [
        { value: 'payments_5m', is: '>=', than: 5 },
        { value: 'score', is: '>', than: 0.05 },
      ],
      decision: 'block',
    },
    { name: 'small', when: [{ value: 'event.amountMinor', is: '<', than: 100 }], decision: 'approve' },
    {
      name: 'unusual',
      when: [
        { value: 'mean_30d', is: '!=', than: 0 },
        { value: 'mean_30d', is: '<=', than: 1 },
      ],
      decision: 'review',
    },
    { name: 'foreign', when: [{ value: 'event.currency', is: '!=', than: 'EUR' }], decision: 'block' },
    { name: 'recurring', when: [{ value: 'event.isRecurring', is: '==', than: true }], decision: 'approve' },
  ],
})
const decider = compilePolicy(policy, scope)
const { decide } = decider
type Change = Partial<Pick<PolicyInput, 'score' | 'values'>> & {
  readonly ids?: PolicyInput['entityIds']
  readonly data?: PolicyInput['data']
}
const input = ({ ids = {}, data = {}, ...change }: Change = {}): PolicyInput => ({
  entityIds: { customer: 'c', terminal: 't', ...ids },
  data: { amountMinor: 5_000, currency: 'EUR', ...data },
  score: 0.5,
  values: [1, 50],
  ...change,
})

describe('a policy', () => {
  it.each([
    ['the model decides where nothing else does', {}, 'review', 'model'],
    ['at the threshold', { score: 0.8 }, 'block', 'model'],
    ['below both', { score: 0.0999 }, 'approve', 'model'],
    [
      'a blocked customer, also an allowed one',
      { ids: { customer: 'thief' }, score: 0 },
      'block',
      'block_list:customer',
    ],
    ['a blocked terminal', { ids: { terminal: 'broken' } }, 'block', 'block_list:terminal'],
    [
      'an allowed customer, whatever the score and the rules',
      { ids: { customer: 'friend' }, score: 1, values: [9, 1] },
      'approve',
      'allow_list:customer',
    ],
    ['the first rule that holds', { values: [5, 0.5], data: { amountMinor: 1 } }, 'block', 'rule:burst'],
    [
      'a rule with a condition that does not hold is passed over',
      { values: [5, 50], score: 0.05, data: { amountMinor: 1 } },
      'approve',
      'rule:small',
    ],
    ['two conditions on one value', { values: [0, 1] }, 'review', 'rule:unusual'],
    ['no condition holds for a value that is missing', { values: [null, null], score: 0.9 }, 'block', 'model'],
    ['a text of the event that is another one', { data: { currency: 'USD' } }, 'block', 'rule:foreign'],
    ['a boolean of the event', { data: { isRecurring: true }, score: 0.9 }, 'approve', 'rule:recurring'],
    ['a boolean that the event lacks or denies', { data: { isRecurring: false } }, 'review', 'model'],
    ['nobody, of an entity that the event does not name', { ids: { terminal: null } }, 'review', 'model'],
  ] as const)('%s', (_what, change, decision, decidedBy) => {
    expect(decide(input(change))).toEqual({ decision, decidedBy })
  })

  it('says which ids and which fields of the event it needs', () => {
    expect(decider).toMatchObject({
      entities: ['customer', 'terminal'],
      fields: ['amountMinor', 'currency', 'isRecurring'],
    })
  })

  const valid = { format: 2, version: '1', thresholds: { review: 0.1, block: 0.9 } }
  const rule = { name: 'a', when: [{ value: 'score', is: '>', than: 0.7 }], decision: 'block' }
  it.each([
    ['of another format', { ...valid, format: 3 }, 'format'],
    [
      'of the format before',
      { ...valid, format: 1, block: { customers: ['a'] } },
      'is of format 1, which is not read any more: write "format": 2, lists by the name of their entity ("block": {"<entity>": ["<id>"]}), and "event.<field>" where a rule reads a field of the event',
    ],
    [
      'with an order of texts',
      { ...valid, rules: [{ ...rule, when: [{ value: 'event.currency', is: '<', than: 'EUR' }] }] },
      'only numbers have an order',
    ],
    [
      'with a list of an entity that is not there',
      { ...valid, block: { shop: ['a'] } },
      'the block list is of "shop", and the scored event names customer, terminal',
    ],
    [
      'with a rule over a field that is not there',
      { ...valid, rules: [{ ...rule, when: [{ value: 'event.color', is: '==', than: 'red' }] }] },
      'rule a reads event.color, which a score of its events does not have',
    ],
    [
      'with a text compared with a number',
      { ...valid, rules: [{ ...rule, when: [{ value: 'event.currency', is: '==', than: 1 }] }] },
      'rule a compares event.currency, a text, with a number',
    ],
    [
      'with a feature compared with a text',
      { ...valid, rules: [{ ...rule, when: [{ value: 'mean_30d', is: '==', than: 'a' }] }] },
      'rule a compares mean_30d, a number, with a text',
    ],
    [
      'with an amount between two whole numbers',
      {
        ...valid,
        rules: [
          {
            ...rule,
            when: [
              { value: 'event.amountMinor', is: '>', than: 1 },
              { value: 'event.amountMinor', is: '<', than: 2 },
            ],
          },
        ],
      },
      'rule a never decides: its conditions on event.amountMinor never hold together',
    ],
    [
      'with a boolean that is neither',
      {
        ...valid,
        rules: [
          {
            ...rule,
            when: [
              { value: 'event.isRecurring', is: '!=', than: true },
              { value: 'event.isRecurring', is: '!=', than: false },
            ],
          },
        ],
      },
      'rule a never decides',
    ],
    [
      'with a text that is two',
      {
        ...valid,
        rules: [
          {
            ...rule,
            when: [
              { value: 'event.currency', is: '==', than: 'EUR' },
              { value: 'event.currency', is: '==', than: 'USD' },
            ],
          },
        ],
      },
      'rule a never decides',
    ],
    [
      'with crossed thresholds',
      { ...valid, thresholds: { review: 0.9, block: 0.1 } },
      'review must not be above block',
    ],
    ['with a threshold that is no probability', { ...valid, thresholds: { review: -1, block: 2 } }, 'thresholds'],
    ['with an unknown member', { ...valid, rule: [] }, 'rule'],
    ['with a rule without conditions', { ...valid, rules: [{ ...rule, when: [] }] }, 'when'],
    ['with an id twice in a list', { ...valid, block: { customer: ['a', 'a'] } }, 'has an id twice'],
    ['with an empty id in a list', { ...valid, allow: { terminal: [''] } }, 'terminal'],
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
    expect(() => compilePolicy(parsePolicy(json), scope)).toThrow(
      expect.objectContaining({ code: 'policy_invalid', message: expect.stringContaining(words) as string }),
    )
  })

  it('over a feature that the service does not have is refused, with its name', () => {
    const other = parsePolicy({ ...valid, rules: [{ ...rule, when: [{ value: 'weather', is: '>', than: 1 }] }] })
    expect(() => compilePolicy(other, scope)).toThrow('rule a reads weather')
  })
})
