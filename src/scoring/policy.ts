import { z } from 'zod'
import { decide } from './decision.ts'
import type { Decision } from './emitted.ts'
import { RiverbankError } from '../base/errors.ts'
import { deadRule } from './rule-bounds.ts'

/** No event names an entity by nothing. */
const ids = z.array(z.string().min(1)).refine((list) => new Set(list).size === list.length, 'has an id twice')

/**
 * What is done with a score: lists, rules over features, thresholds, in this order. A policy is a file beside its model
 * (`models/<name>/<version>/policies/<version>.json`) and never changes; a change is a new version.
 */
export const policySchema = z.strictObject({
  format: z.literal(1),
  version: z.string().regex(/^[\w.-]{1,32}$/),
  description: z.string().default(''),
  /** Probabilities: at `block` and above a payment is refused, at `review` looked at. */
  thresholds: z
    .strictObject({ review: z.number().min(0).max(1), block: z.number().min(0).max(1) })
    .refine(({ review, block }) => review <= block, 'review must not be above block'),
  /** Always refused. Comes before `allow`. */
  block: z.strictObject({ customers: ids.default([]), terminals: ids.default([]) }).prefault({}),
  /** Never refused. */
  allow: z.strictObject({ customers: ids.default([]), terminals: ids.default([]) }).prefault({}),
  /** The first one whose conditions all hold decides; a feature without a value holds no condition. */
  rules: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be lower-case letters, digits and _'),
        when: z
          .array(
            z.strictObject({
              /** A feature of the service, `amountMinor` or `score`. */
              value: z.string(),
              is: z.enum(['<', '<=', '>', '>=', '==', '!=']),
              than: z.number(),
            }),
          )
          .min(1),
        decision: z.enum(['approve', 'review', 'block']),
      }),
    )
    .default([]),
})
export type Policy = z.infer<typeof policySchema>

/** Who decided: `model`, `rule:<name>`, or `block_list` and `allow_list` with what was on it. */
export interface PolicyVerdict {
  readonly decision: Decision
  readonly decidedBy: string
}

/** A policy at work. */
export interface Decider {
  readonly version: string
  readonly decide: (input: PolicyInput) => PolicyVerdict
}

export interface PolicyInput {
  readonly customerId: string
  readonly terminalId: string
  readonly amountMinor: number
  readonly score: number
  /** In the order of the names that the policy was compiled with. */
  readonly values: readonly (number | null)[]
}

/** Of an input: null where there is no value. */
type Read = (input: PolicyInput) => number | null

const comparisons: Readonly<Record<Policy['rules'][number]['when'][number]['is'], (a: number, b: number) => boolean>> =
  {
    '<': (a, b) => a < b,
    '<=': (a, b) => a <= b,
    '>': (a, b) => a > b,
    '>=': (a, b) => a >= b,
    '==': (a, b) => a === b,
    '!=': (a, b) => a !== b,
  }

/** Errors: `policy_invalid`, with the first mistakes in words. */
export function parsePolicy(json: unknown): Policy {
  const parsed = policySchema.safeParse(json)
  if (!parsed.success) throw new RiverbankError('policy_invalid', z.prettifyError(parsed.error))
  const names = parsed.data.rules.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw new RiverbankError('policy_invalid', `two rules are named ${twice}`)
  const dead = deadRule(parsed.data.rules)
  if (dead !== null) throw new RiverbankError('policy_invalid', `rule ${dead.name} never decides: ${dead.why}`)
  return parsed.data
}

/** `names`: of all values of the service. Errors: `policy_invalid` for a rule over something that is not there. */
export function compilePolicy(policy: Policy, names: readonly string[]): (input: PolicyInput) => PolicyVerdict {
  const rules = policy.rules.map(({ name, when, decision }) => ({
    verdict: { decision, decidedBy: `rule:${name}` },
    conditions: when.map(({ value, is, than }) => ({ read: reader(value, names, name), holds: comparisons[is], than })),
  }))
  const lists = [
    { decision: 'block', by: 'block_list', ...setsOf(policy.block) },
    { decision: 'approve', by: 'allow_list', ...setsOf(policy.allow) },
  ] as const
  return (input) => {
    for (const { decision, by, customers, terminals } of lists) {
      if (customers.has(input.customerId)) return { decision, decidedBy: `${by}:customer` }
      if (terminals.has(input.terminalId)) return { decision, decidedBy: `${by}:terminal` }
    }
    for (const { verdict, conditions } of rules) {
      const holds = conditions.every(({ read, holds: compare, than }) => {
        const value = read(input)
        return value !== null && compare(value, than)
      })
      if (holds) return verdict
    }
    return { decision: decide(input.score, policy.thresholds), decidedBy: 'model' }
  }
}

function setsOf({ customers, terminals }: Policy['block']) {
  return { customers: new Set(customers), terminals: new Set(terminals) }
}

function reader(value: string, names: readonly string[], rule: string): Read {
  if (value === 'score') return ({ score }) => score
  if (value === 'amountMinor') return ({ amountMinor }) => amountMinor
  const index = names.indexOf(value)
  if (index < 0)
    throw new RiverbankError('policy_invalid', `rule ${rule} reads ${value}, which the service does not have`)
  return ({ values }) => values[index] ?? null
}
