import type { Query } from '../../src/edges/duckdb/query.ts'
import { compareWithSql } from './compare-sql.ts'
import { randomFeatureSet, randomStream, seeded, type StreamEvent } from './definitions.ts'
import { compareWithReference, noTotals, planOf, runEngine, type Told, type Totals } from './run-case.ts'

/** Streams that share one random definition, so that one query of SQL judges them all. */
export const streamsPerDefinition = 25

/** A definition by its seed, and a stream of events on which two interpreters differ. */
export interface Difference {
  readonly seed: number
  readonly events: readonly StreamEvent[]
  readonly text: string
}

/** Cases `first` to `first + streamsPerDefinition - 1`: one definition, as many streams. Null when all three agree. */
export async function fuzzDefinition(first: number, query: Query, totals: Totals): Promise<Difference | null> {
  const streams = Array.from({ length: streamsPerDefinition }, (_, i) => randomStream(seeded(first + i)))
  const found = await differenceOf(first, streams, query, totals)
  if (found === null) return null
  return shrink({ seed: first, events: streams[found.stream] ?? [], text: found.text }, query)
}

/** One regression case again. */
export async function replay(
  { seed, events }: Pick<Difference, 'seed' | 'events'>,
  query: Query,
): Promise<string | null> {
  return (await differenceOf(seed, [events], query, noTotals()))?.text ?? null
}

async function differenceOf(
  seed: number,
  streams: readonly (readonly StreamEvent[])[],
  query: Query,
  totals: Totals,
): Promise<{ readonly stream: number; readonly text: string } | null> {
  const set = randomFeatureSet(seeded(seed))
  const plan = planOf(set)
  const told: Told[] = []
  for (const [stream, events] of streams.entries()) {
    const one = runEngine(plan, events, seed + stream)
    const text = compareWithReference(set, plan, one, totals)
    if (text !== null) return { stream, text }
    told.push(one)
  }
  return compareWithSql(set, plan, told, query)
}

/** Leaves out events, in ever smaller pieces, as long as two interpreters differ on the rest. */
async function shrink(found: Difference, query: Query): Promise<Difference> {
  let best = found
  for (let size = Math.ceil(best.events.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.events.length;) {
      const events = best.events.filter((_, i) => i < at || i >= at + size)
      const text = await replay({ seed: best.seed, events }, query)
      if (text === null) at += size
      else best = { ...best, events, text }
    }
  }
  return best
}
