import type { Query } from '../../src/edges/duckdb/query.ts'
import { compareWithSql } from './compare-sql.ts'
import { featureSetOf, randomRecipe, seeded, type Recipe } from './definitions.ts'
import { compilePlan } from '../../src/compile/plan.ts'
import { compareWithReference, noTotals, runEngine, type Told, type Totals } from './run-case.ts'
import type { FeaturePlan } from '../../src/engine/plan.ts'
import { shrink } from './shrink.ts'
import { randomStream, type StreamEvent } from './stream.ts'

/** Streams that share one random definition, so that one query of SQL judges them all. */
export const streamsPerDefinition = 25

/** Everything that a run depends on. */
export interface Case {
  readonly recipe: Recipe
  readonly events: readonly StreamEvent[]
}

/** A case on which two interpreters differ, and the difference. */
export interface Difference extends Case {
  /** The seed of the case before it was shrunk; no replay needs it. */
  readonly seed: number
  readonly text: string
}

/** Gives the engine another plan than that of the definitions: a fault that the fuzzer must find. */
type Plant = (plan: FeaturePlan) => FeaturePlan

/**
 * Runs cases `first` to `first + streamsPerDefinition - 1`: one definition, as many streams. Null when all three agree.
 */
export async function fuzzDefinition(
  first: number,
  query: Query,
  totals: Totals,
  plant: Plant = (plan) => plan,
): Promise<Difference | null> {
  const recipe = randomRecipe(seeded(first))
  const streams = Array.from({ length: streamsPerDefinition }, (_, i) => randomStream(seeded(first + i)))
  const found = await differenceOf(recipe, streams, query, { totals, plant })
  if (found === null) return null
  const whole = { recipe, events: streams[found.stream] ?? [], text: found.text }
  const smallest = await shrink(whole, (smaller) => replay(smaller, query, plant))
  return { seed: first + found.stream, ...smallest }
}

/** Runs one regression case again; answers how two interpreters differ on it, null when they agree. */
export async function replay(
  { recipe, events }: Case,
  query: Query,
  plant: Plant = (plan) => plan,
): Promise<string | null> {
  return (await differenceOf(recipe, [events], query, { totals: noTotals(), plant }))?.text ?? null
}

async function differenceOf(
  recipe: Recipe,
  streams: readonly (readonly StreamEvent[])[],
  query: Query,
  { totals, plant }: { readonly totals: Totals; readonly plant: Plant },
): Promise<{ readonly stream: number; readonly text: string } | null> {
  const set = featureSetOf(recipe)
  const plan = plant(compilePlan(set))
  const told: Told[] = []
  for (const [stream, events] of streams.entries()) {
    const one = runEngine(plan, events)
    const text = compareWithReference(set, plan, one, totals)
    if (text !== null) return { stream, text }
    told.push(one)
  }
  return compareWithSql(set, plan, told, query)
}

/** A case as JSON, with its own form of minus zero, which JSON lacks. */
export function caseToJson(found: Case): string {
  return `${JSON.stringify(found, (_key, value: unknown) => (Object.is(value, -0) ? minusZero : value), 2)}\n`
}

export function caseFromJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) => (value === minusZero ? -0 : value))
}

const minusZero = '-0'
