import { history } from '../../../../features/simulator/history.ts'
import { generatePayments } from '../../../../features/simulator/payments.ts'
import { encodeEvent } from '../../../../src/events/event.ts'
import { openQuery } from '../../../../src/edges/duckdb/query.ts'
import { openLake } from '../../../../src/lake/commit/lake.ts'
import { renderVerify } from '../../../../src/lake/verify/text.ts'
import { tempFolder } from '../../support/feed.ts'
import { positionsOf, run, verify, write, type Sent } from './world.ts'

/**
 * `node scripts/bootstrap/run.mjs test/lake/verify/support/bench.ts [days]`: seconds that verify takes for the
 * simulator's payments.
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
const positions = positionsOf(content)
await write(lake, content, 50_000)
let peak = 0
const phases: Record<string, number> = {}
const cpu = process.cpuUsage()
const slow: string[] = []
const timed = async <Result>(sql: string, work: Promise<Result>): Promise<Result> => {
  const startedMs = performance.now()
  const result = await work
  const tookMs = Math.round(performance.now() - startedMs)
  if (tookMs > 200) slow.push(`${tookMs} ms: ${sql.replaceAll(/\s+/g, ' ').slice(0, 90)}`)
  return result
}
const report = await verify(lake, {
  positions,
  openQuery: async (setup) => {
    const query = await openQuery({ threads: 2, memoryMb: 2_048, tempDir: dir, tempMb: 4_096, setup })
    const beside = () => query.beside()
    return {
      beside,
      interrupt: () => {
        query.interrupt()
      },
      run: (sql) => timed(sql, query.run(sql)),
      rows: (sql) => timed(sql, query.rows(sql)),
      each: (sql, take) => timed(sql, query.each(sql, take)),
      columns: (sql, take) => timed(sql, query.columns(sql, take)),
      close: () => query.close(),
    }
  },
  onProgress: (phase) => {
    phases[phase] ??= Math.round(process.cpuUsage(cpu).user / 1000)
    peak = Math.max(peak, process.memoryUsage.rss())
  },
})
console.log(renderVerify(report))
for (const line of slow) console.log(line)
const used = process.cpuUsage(cpu)
console.log({ events: sent.length, cpuSeconds: (used.user + used.system) / 1e6, rssMb: Math.round(peak / 1e6), phases })
remove()
