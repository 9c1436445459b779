import { z } from 'zod'
import type { Expression } from '../../src/engine/expression.ts'
import type { Duration, WindowLength } from '../../src/base/units.ts'
import type { Aggregate } from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { aggregateMagnitude } from '../../src/define/magnitude.ts'
import { defineDerived, defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineView } from '../../src/define/view.ts'
import { aggregatesOf } from './aggregates.ts'
import { cleared, disputed, flagged, payment, refund, settled } from './events.ts'
import { featureNamesOf, randomDerived } from './expressions.ts'

/** Random choices over mulberry32. */
export interface Random {
  /** An integer from 0 to n − 1. */
  below(n: number): number
  chance(probability: number): boolean
  pick<Value>(values: readonly Value[]): Value
  /** Some of the values, at least one, in their order. */
  some<Value>(values: readonly Value[]): Value[]
}

export function seeded(seed: number): Random {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  // Neighbouring seeds begin alike: skips the first numbers.
  for (let i = 0; i < 4; i += 1) next()
  const below = (n: number) => Math.floor(next() * n)
  const pick = <Value>(values: readonly Value[]): Value => {
    const value = values[below(values.length)]
    if (value === undefined) throw new Error('there is something to pick')
    return value
  }
  return {
    below,
    chance: (probability) => next() < probability,
    pick,
    some(values) {
      const chosen = values.filter(() => next() < 0.5)
      return chosen.length > 0 ? chosen : [pick(values)]
    },
  }
}

export const scoredTypes: ReadonlySet<string> = new Set([payment.type, refund.type])

const hops: readonly {
  readonly hop: Duration
  readonly windows: readonly Duration[]
  readonly delays: readonly Duration[]
}[] = [
  { hop: '1s', windows: ['1s', '10s', '1m', '1h', '1d'], delays: ['0s', '5s', '1h', '7d'] },
  { hop: '1m', windows: ['1m', '5m', '1h', '1d', '7d'], delays: ['0s', '1m', '1d'] },
  { hop: '1h', windows: ['1h', '6h', '1d', '30d'], delays: ['0s', '1h', '7d'] },
  { hop: '1d', windows: ['1d', '7d', '30d'], delays: ['0s', '1d', '7d'] },
]

const duration = z.templateLiteral([z.int(), z.enum(['s', 'm', 'h', 'd'])])
const entityNames = ['customer', 'terminal', 'pair'] as const

/**
 * All random choices of a feature set, as plain JSON: a regression case keeps them, even when the generator changes.
 */
export const recipeSchema = z.strictObject({
  /** The most tiles of customers and terminals. */
  tilesMax: z.int(),
  /** The conditions of a large payment. */
  large: z.array(
    z.union([
      z.strictObject({ field: z.literal('amount'), is: z.enum(['>', '>=', '<', '<=']), value: z.int() }),
      z.strictObject({ field: z.enum(['kind', 'note']), is: z.enum(['==', '!=']), value: z.string() }),
      z.strictObject({ field: z.literal('online'), is: z.enum(['==', '!=']), value: z.boolean() }),
    ]),
  ),
  /** The conditions of a bad flag. */
  bad: z
    .array(
      z.union([
        z.strictObject({ field: z.enum(['amount', 'loss']), is: z.enum(['>', '>=', '<', '<=']), value: z.int() }),
        z.strictObject({ field: z.literal('reason'), is: z.enum(['==', '!=']), value: z.string() }),
        z.strictObject({ field: z.literal('sure'), is: z.enum(['==', '!=']), value: z.boolean() }),
      ]),
    )
    .default([]),
  lastK: z.int(),
  caps: z.strictObject({ shop: z.int(), items: z.int() }),
  entities: z.array(z.enum(entityNames)),
  views: z.array(
    z.strictObject({
      name: z.string(),
      entity: z.enum(entityNames),
      /** By name, such as `amount_sum`. */
      aggregates: z.array(z.string()),
      windows: z.array(z.union([duration, z.literal('lifetime')])),
      hop: duration,
      delay: duration,
    }),
  ),
  /** Derived features by name. */
  derived: z
    .array(z.strictObject({ name: z.string(), tree: z.custom<Expression>((tree) => typeof tree === 'object') }))
    .default([]),
})
export type Recipe = z.infer<typeof recipeSchema>
export type RandomRecipe = Omit<Recipe, 'views' | 'derived'>

/** Two to five views over three entities, every aggregate, sources with and without conditions, tight limits. */
export function randomRecipe(random: Random): Recipe {
  const base: RandomRecipe = {
    tilesMax: random.pick([2, 5, 4_096, 4_096]),
    large: [
      { field: 'amount', is: random.pick(['>', '>=', '<', '<='] as const), value: random.below(1_000) },
      ...(random.chance(0.5)
        ? [{ field: 'kind', is: random.pick(['==', '!='] as const), value: 'card' } as const]
        : []),
      ...(random.chance(0.3)
        ? [{ field: 'online', is: random.pick(['==', '!='] as const), value: random.chance(0.5) } as const]
        : []),
      ...(random.chance(0.2)
        ? [{ field: 'note', is: random.pick(['==', '!='] as const), value: 'gift' } as const]
        : []),
    ],
    bad: [
      ...(random.chance(0.4) ? [{ field: 'sure', is: random.pick(['==', '!='] as const), value: true } as const] : []),
      ...(random.chance(0.4)
        ? [{ field: 'reason', is: random.pick(['==', '!='] as const), value: 'stolen' } as const]
        : []),
      ...(random.chance(0.3)
        ? [
            {
              field: random.pick(['amount', 'loss'] as const),
              is: random.pick(['>', '<='] as const),
              value: 900,
            } as const,
          ]
        : []),
    ],
    lastK: 1 + random.below(3),
    caps: { shop: random.pick([1, 2, 64]), items: random.pick([2, 3]) },
    // Sometimes terminals first: the plan puts the partition key first by itself.
    entities: random.chance(0.5) ? ['customer', 'terminal', 'pair'] : ['pair', 'terminal', 'customer'],
  }
  const { ofPayments, ofRefunds, ofFlags, runs } = aggregatesOf(base)
  const namesOf = (aggregates: readonly Aggregate[]) => aggregates.map(({ name }) => name)
  const names = ['one', 'two', 'three', 'four', 'five'].slice(0, 2 + random.below(4))
  const views = names.map((name, i) => {
    const entity = i === 0 ? 'customer' : i === 1 ? 'terminal' : random.pick(entityNames)
    const { hop, windows, delays } = random.pick(hops)
    const isLifetime = random.chance(0.3)
    const chosen: WindowLength[] = isLifetime ? [...random.some(windows), 'lifetime'] : random.some(windows)
    const isOfBoth = entity === 'customer'
    const own = random.some(isOfBoth ? [...ofPayments, ...ofRefunds] : ofPayments)
    const aggregates = random.chance(0.5) ? [...own, ...random.some(ofFlags)] : own
    const ofLabels = random.chance(0.5) ? runs.flagged : runs.large
    const run = isOfBoth && random.chance(0.5) ? runs.refunded : ofLabels
    return {
      name,
      entity,
      aggregates: namesOf([...aggregates, ...(isLifetime || random.chance(0.5) ? [] : [run])]),
      windows: chosen,
      hop,
      delay: random.pick(delays),
    }
  })
  const recipe = { ...base, views, derived: [] }
  return { ...recipe, derived: randomDerived(random, featureSetOf(recipe).views.flatMap(featureNamesOf)) }
}

/** The feature set of a recipe; throws one sentence if the recipe gives none. */
export function featureSetOf(recipe: Recipe): FeatureSet {
  const { tilesMax } = recipe
  const entities = {
    customer: defineEntity({ name: 'customer', keyFields: ['customerId'], partitionKey: true, tilesMax }),
    terminal: defineEntity({ name: 'terminal', keyFields: ['terminalId'], tilesMax }),
    pair: defineEntity({ name: 'pair', keyFields: ['customerId', 'terminalId'] }),
  }
  const { ofPayments, ofRefunds, ofFlags, runs } = aggregatesOf(recipe)
  const known = new Map(
    [...ofPayments, ...ofRefunds, ...ofFlags, ...Object.values(runs)].map((each) => [each.name, each]),
  )
  const aggregateOf = (name: string): Aggregate => {
    const aggregate = known.get(name)
    if (aggregate === undefined) throw new Error(`a recipe names the aggregate ${name}, and there is none`)
    return aggregate
  }
  const views = recipe.views.map(({ entity, aggregates, ...view }) =>
    defineView({ ...view, version: 1, entity: entities[entity], aggregates: aggregates.map(aggregateOf) }),
  )
  return defineFeatureSet({
    events: [payment, refund, flagged, cleared, disputed, settled],
    entities: recipe.entities.map((name) => entities[name]),
    views,
    derived: recipe.derived.map(({ name, tree }) =>
      defineDerived(name, 'of others', { tree, nullable: true, magnitude: aggregateMagnitude }),
    ),
    services: [
      defineService({ name: 'of_payments', of: payment, vector: [] }),
      defineService({ name: 'of_refunds', of: refund, vector: [] }),
    ],
  })
}
