import { history } from '../../../../scripts/simulator/history.ts'
import { generatePayments } from '../../../../scripts/simulator/payments.ts'
import { encodeEvent } from '../../../../src/core/event.ts'
import { openLake } from '../../../../src/lake/lake.ts'
import { renderVerify } from '../../../../src/lake/verify/text.ts'
import { tempFolder } from '../../support/feed.ts'
import { positionsOf, run, verify, write, type Sent } from './world.ts'

/** `npx tsx test/lake/verify/support/bench.ts [days]`: seconds that verify takes for the simulator's payments. */
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
const report = await verify(lake, {
  positions,
  onProgress: (phase) => {
    phases[phase] ??= Math.round(process.cpuUsage(cpu).user / 1000)
    peak = Math.max(peak, process.memoryUsage.rss())
  },
})
console.log(renderVerify(report))
const used = process.cpuUsage(cpu)
console.log({ events: sent.length, cpuSeconds: (used.user + used.system) / 1e6, rssMb: Math.round(peak / 1e6), phases })
remove()
