import { z } from 'zod'
import { decide } from './decision.ts'
import type { Decision } from './output-events.ts'
import { RiverbankError } from '../base/errors.ts'
import type { ScoredField, ServicePlan } from '../engine/plan.ts'
import { deadRule, type Domain } from './rule-bounds.ts'

/** No event names an entity by an empty id. */
const ids = z.array(z.string().min(1)).refine((list) => new Set(list).size === list.length, 'has an id twice')
/** By the name of the entity. */
const lists = z.record(z.string(), ids).default({})

const condition = z
  .strictObject({
    /** A feature of the feature set, `score`, or `event.<field>`: a field of the scored event. */
    value: z.string(),
    is: z.enum(['<', '<=', '>', '>=', '==', '!=']),
    than: z.union([z.number(), z.string(), z.boolean()]),
  })
  .refine(({ is, than }) => typeof than === 'number' || is === '==' || is === '!=', 'only numbers have an order')

/**
 * Decides by lists, then rules over features, then thresholds. A policy is a file beside its model
 * (`models/<name>/<version>/policies/<version>.json`) and never changes; a change is a new version.
 */
export const policySchema = z.strictObject({
  format: z.literal(2),
  version: z.string().regex(/^[\w.-]{1,32}$/),
  description: z.string().default(''),
  /** Probabilities: at `block` and above an event is refused, at `review` looked at. */
  thresholds: z
    .strictObject({ review: z.number().min(0).max(1), block: z.number().min(0).max(1) })
    .refine(({ review, block }) => review <= block, 'review must not be above block'),
  /** Always refused. Comes before `allow`. */
  block: lists,
  /** Never refused. */
  allow: lists,
  /** The first one whose conditions all hold decides; no condition holds for a missing value. */
  rules: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be lower-case letters, digits and _'),
        when: z.array(condition).min(1),
        decision: z.enum(['approve', 'review', 'block']),
      }),
    )
    .default([]),
})
export type Policy = z.infer<typeof policySchema>
type Condition = z.infer<typeof condition>

/** What decided: `model`, `rule:<name>`, or `block_list:<entity>` and `allow_list:<entity>`. */
export interface PolicyVerdict {
  readonly decision: Decision
  readonly decidedBy: string
}

/** A compiled policy. */
export interface Decider {
  readonly version: string
  readonly decide: (input: PolicyInput) => PolicyVerdict
  /** The entities that it has lists of: an input names their ids. */
  readonly entities: readonly string[]
  /** The fields of the scored event that its rules read. */
  readonly fields: readonly string[]
}

export interface PolicyInput {
  /** By entity: the id of the one that the scored event names, null where it names none. */
  readonly entityIds: Readonly<Record<string, string | null | undefined>>
  /** Of the scored event. */
  readonly data: Readonly<Record<string, unknown>>
  readonly score: number
  /** In the order of the names that the policy was compiled with. */
  readonly values: readonly (number | null)[]
}

/** What a policy may use of its model's service. */
export type PolicyScope = Pick<ServicePlan, 'names' | 'entities' | 'fields'>

type Value = number | string | boolean
/** Reads an input: null or undefined where there is no value. */
type Read = (input: PolicyInput) => unknown

const comparisons: Readonly<Record<Condition['is'], (a: Value, b: Value) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}

/** A file of format 1 uses the names of one domain. */
const formerFormat =
  'is of format 1, which is not read any more: write "format": 2, lists by the name of their entity ' +
  '("block": {"<entity>": ["<id>"]}), and "event.<field>" where a rule reads a field of the event'

/** Errors: `policy_invalid`, with the first mistakes in words. */
export function parsePolicy(json: unknown): Policy {
  if (typeof json === 'object' && json !== null && 'format' in json && json.format === 1) throw invalid(formerFormat)
  const parsed = policySchema.safeParse(json)
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error))
  const names = parsed.data.rules.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw invalid(`two rules are named ${twice}`)
  return parsed.data
}

/** Errors: `policy_invalid` for a list or a rule of something that is not there, or that never decides. */
export function compilePolicy(policy: Policy, scope: PolicyScope): Decider {
  const rules = policy.rules.map(({ name, when, decision }) => ({
    verdict: { decision, decidedBy: `rule:${name}` },
    conditions: when.map((one) => ({ read: reader(one, scope, name), holds: comparisons[one.is], than: one.than })),
  }))
  const dead = deadRule(policy.rules, domainsOf(scope))
  if (dead !== null) throw invalid(`rule ${dead.name} never decides: ${dead.why}`)
  const listed = [...listsOf('block', policy.block, scope), ...listsOf('allow', policy.allow, scope)]
  const byModel: Readonly<Record<Decision, PolicyVerdict>> = {
    approve: { decision: 'approve', decidedBy: 'model' },
    review: { decision: 'review', decidedBy: 'model' },
    block: { decision: 'block', decidedBy: 'model' },
  }
  const read = policy.rules.flatMap(({ when }) => when.flatMap(({ value }) => fieldIn(value) ?? []))
  return {
    version: policy.version,
    entities: [...new Set(listed.map(({ entity }) => entity))],
    fields: [...new Set(read)],
    decide(input) {
      for (const { entity, ids: onList, verdict } of listed) {
        const id = input.entityIds[entity] ?? null
        if (id !== null && onList.has(id)) return verdict
      }
      for (const { verdict, conditions } of rules) {
        if (conditions.every(({ read: of, holds, than }) => isMet(of(input), holds, than))) return verdict
      }
      return byModel[decide(input.score, policy.thresholds)]
    },
  }
}

function isMet(value: unknown, holds: (a: Value, b: Value) => boolean, than: Value): boolean {
  return isValue(value) && typeof value === typeof than && holds(value, than)
}

function isValue(value: unknown): value is Value {
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
}

/** In the order of the entities, whatever the order in the file. */
function listsOf(name: 'block' | 'allow', list: Policy['block'], { entities }: PolicyScope) {
  const unknown = Object.keys(list).find((entity) => !entities.includes(entity))
  if (unknown !== undefined) {
    throw invalid(`the ${name} list is of "${unknown}", and the scored event names ${entities.join(', ')}`)
  }
  const decision: Decision = name === 'block' ? 'block' : 'approve'
  return entities
    .filter((entity) => (list[entity] ?? []).length > 0)
    .map((entity) => ({
      entity,
      ids: new Set(list[entity]),
      verdict: { decision, decidedBy: `${name}_list:${entity}` } satisfies PolicyVerdict,
    }))
}

/** The field in `event.<field>`, null for anything else. */
function fieldIn(value: string): string | null {
  return value.startsWith('event.') ? value.slice('event.'.length) : null
}

function reader({ value, than }: Condition, { names, fields }: PolicyScope, rule: string): Read {
  const field = fieldIn(value)
  const index = names.indexOf(value)
  const kind = field === null ? (value === 'score' || index >= 0 ? 'number' : null) : (fields.get(field)?.kind ?? null)
  if (kind === null) {
    const owner = field === null ? 'the service' : 'a score of its events'
    throw invalid(`rule ${rule} reads ${value}, which ${owner} does not have`)
  }
  if (kind !== kindOf(than)) throw invalid(`rule ${rule} compares ${value}, a ${kind}, with a ${kindOf(than)}`)
  if (field !== null) return ({ data }) => data[field]
  return value === 'score' ? ({ score }) => score : ({ values }) => values[index]
}

function kindOf(value: Value): ScoredField['kind'] {
  if (typeof value === 'number') return 'number'
  return typeof value === 'boolean' ? 'boolean' : 'text'
}

function domainsOf({ fields }: PolicyScope): ReadonlyMap<string, Domain> {
  const domains = new Map<string, Domain>([['score', { low: 0, high: 1, whole: false, always: true }]])
  for (const [field, { kind, whole, optional }] of fields) {
    const [low, high] = kind === 'boolean' ? [0, 1] : [-Infinity, Infinity]
    domains.set(`event.${field}`, { low, high, whole: whole || kind === 'boolean', always: !optional })
  }
  return domains
}

function invalid(message: string): RiverbankError {
  return new RiverbankError('policy_invalid', message)
}
