import type { Benchmark } from './benchmark.ts'
import { benchBytes } from './bytes.ts'
import { benchDecisions } from './decisions.ts'
import { benchBatch } from './batch.ts'
import { benchEngine } from './engine.ts'
import { benchExplain } from './explain.ts'
import { benchFloorDecisions } from './floor/decisions.ts'
import { benchFloorReads } from './floor/reads.ts'
import { benchFloor } from './floor/stream.ts'
import { benchGrowth } from './growth/growth.ts'
import { benchLake } from './lake.ts'
import { benchLatency } from './latency.ts'
import { benchLookups } from './lookups.ts'
import { benchMemory } from './memory.ts'
import { benchReads } from './reads.ts'
import { benchRebuild, benchVerify } from './proof.ts'
import { benchScoring } from './scoring.ts'
import { benchShadow } from './shadow.ts'
import { benchSql } from './sql.ts'
import { benchStart } from './start.ts'
import { benchStream } from './stream.ts'
import { benchSubscribers } from './subscribers.ts'

const both = ['redis', 'kafka'] as const

/** All benchmarks, in the order in which they run. */
export const benchmarks: readonly Benchmark[] = [
  { name: 'engine', about: 'the pure engine on one core, and the coding of states', drivers: 'none', run: benchEngine },
  { name: 'batch', about: 'batches of the processor without log and store', drivers: 'none', run: benchBatch },
  { name: 'scoring', about: 'the model, in batches of 32', drivers: 'none', run: benchScoring },
  { name: 'explain', about: 'exact SHAP values and reasons', drivers: 'none', run: benchExplain },
  { name: 'bytes', about: 'what an entity takes in Redis after 60 days', drivers: 'none', run: benchBytes },
  { name: 'lookups', about: 'look-ups by event id among a million scores', drivers: 'none', run: benchLookups },
  { name: 'floor', about: 'the processor beside the work of its libraries alone', drivers: both, run: benchFloor },
  {
    name: 'floor-reads',
    about: 'feature reads beside a bare Hono',
    drivers: ['redis'],
    run: (run, place) => benchFloorReads(run, place.onFailure),
  },
  {
    name: 'floor-decisions',
    about: 'one decision over HTTP beside a bare exchange of the same bytes',
    drivers: ['redis'],
    run: (run, place) => benchFloorDecisions(run, place.onFailure),
  },
  {
    name: 'stream',
    about: 'payments a second: one and two processors, alone and with all roles',
    drivers: both,
    run: benchStream,
  },
  { name: 'shadow', about: 'what one shadow model costs', drivers: ['redis'], run: benchShadow },
  { name: 'latency', about: 'payment to score at steady rates, beside the floor', drivers: both, run: benchLatency },
  { name: 'decisions', about: 'POST /v1/events that waits for the decision', drivers: both, run: benchDecisions },
  { name: 'subscribers', about: 'streams of scores to many clients', drivers: ['redis'], run: benchSubscribers },
  { name: 'lake', about: 'rows a second into the lake, and their bytes', drivers: both, run: benchLake },
  {
    name: 'reads',
    about: 'feature reads over HTTP',
    drivers: ['redis'],
    run: async (run, place) => benchReads(run, await place.history()),
  },
  { name: 'sql', about: 'queries over HTTP', drivers: ['redis'], run: benchSql },
  { name: 'verify', about: 'rows a second that verify proves', drivers: ['redis'], run: benchVerify },
  { name: 'rebuild', about: 'rows a second from which rebuild makes states', drivers: ['redis'], run: benchRebuild },
  { name: 'start', about: 'riverbank sql, and npm start to the first decision', drivers: ['redis'], run: benchStart },
  {
    name: 'growth',
    about: 'throughput and latency by entities, days, partitions; hot terminal, wide customer',
    drivers: both,
    isLong: true,
    run: benchGrowth,
  },
  {
    name: 'memory',
    about: 'memory of every process over 30 minutes',
    drivers: ['redis'],
    isLong: true,
    run: benchMemory,
  },
]
