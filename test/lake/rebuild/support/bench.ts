import { compiled } from '../../../process/support/wiring.ts'
import { startTestRedis } from '../../../support/redis-server.ts'
import { tempFolder, topics } from '../../support/feed.ts'
import { positionsOf, run, write, type Sent } from '../../verify/support/world.ts'
import { history } from '../../../../features/simulator/history.ts'
import { generatePayments } from '../../../../features/simulator/payments.ts'
import { encodeEvent } from '../../../../src/events/event.ts'
import { openQuery } from '../../../../src/edges/duckdb/query.ts'
import { openRedisStateStore } from '../../../../src/edges/redis/states/state-store.ts'
import { onlyFromWhole } from '../../../../src/lake/commit/damage.ts'
import { openLake } from '../../../../src/lake/commit/lake.ts'
import { rebuildStates } from '../../../../src/lake/rebuild/rebuild.ts'
import { catalogOf } from '../../../../src/lake/tables/sql-catalog.ts'

/**
 * `node scripts/bootstrap/run.mjs test/lake/rebuild/support/bench.ts [days]`: payments a second that a rebuild takes
 * from a lake into Redis.
 */
const days = Number(process.argv[2] ?? 11)
const sent: Sent[] = []
for (const event of history(generatePayments({ toDay: days }), { labelDelayMs: 3 * 86_400_000 })) {
  const text = encodeEvent({ ...event, metadata: { source: 'urn:bench' } })
  sent.push({ partition: Number(event.aggregateId) % 4, text, appendTimeMs: event.timestamp })
}
const { dir, remove } = tempFolder()
const lake = await openLake({ dir })
const content = await run(sent)
const { committed } = positionsOf(content)
await write(lake, content, 50_000)
const redis = await startTestRedis()
const store = await openRedisStateStore({ url: redis.url, namespace: 'bench', commandTimeoutMs: 10_000 })
const snapshot = await lake.snapshot()
const { setup } = catalogOf(lake, snapshot, compiled.lakeSchema)
globalThis.gc?.()
const before = process.memoryUsage.rss()
let peak = 0
const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50)
const cpu = process.cpuUsage()
const startedMs = performance.now()
const query = await openQuery({ threads: 2, memoryMb: 2_048, tempDir: dir, tempMb: 8_192, setup })
const lastMs = sent.at(-1)?.appendTimeMs ?? 0
const phases: string[] = []
const result = await rebuildStates({
  ...{ store, query, plan: compiled.plan, schema: compiled.lakeSchema, topics },
  committed,
  rowsPerChunk: 2_000_000,
  fromWhole: (read) => onlyFromWhole(lake, snapshot, read),
  clock: { nowMs: () => lastMs },
  onProgress: ({ entity }) => phases.push(`${entity} ${Math.round(performance.now() - startedMs)} ms`),
})
const seconds = (performance.now() - startedMs) / 1_000
clearInterval(timer)
const used = process.cpuUsage(cpu)
const payments = content.scores.filter(({ value }) => new TextDecoder().decode(value).includes('"payment.scored"'))
console.log({
  payments: payments.length,
  states: result.states,
  seconds: Number(seconds.toFixed(2)),
  paymentsPerSecond: Math.round(payments.length / seconds),
  cpuSeconds: Number(((used.user + used.system) / 1e6).toFixed(2)),
  rssMbBefore: Math.round(before / 1e6),
  rssMbPeak: Math.round(peak / 1e6),
  phases,
})
query.close()
await store.close()
await redis.stop()
remove()
