import { readFileSync } from 'node:fs'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { FeatureSetManifest } from '../../../src/engine/feature-set.ts'
import { batchOf, claimOf, day, materializer, record, schemaOf, score, tempFolder, topics } from './feed.ts'

/**
 * `node scripts/bootstrap/run.mjs test/lake/support/bench.ts`: rows per second from log records to a committed file, on
 * one thread.
 */
const { features } = JSON.parse(readFileSync('features/compiled/feature-set.json', 'utf8')) as FeatureSetManifest
const wide = { ...JSON.parse(readFileSync('features/compiled/feature-set.json', 'utf8')) } as FeatureSetManifest
const total = 50_000
const records = Array.from({ length: total }, (_, i) => {
  const values = features.map((f) => `"${f.name}":${f.type === 'integer' ? i % 97 : (i * 1.37) / (1 + f.name.length)}`)
  const text = score(`s${i}`, `p${i}`, day + i * 10, `{${values.join(',')}}`, i)
  return record(topics.scores, i, text, { appendTimeMs: day + i * 10 })
})
const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
const { dir, remove } = tempFolder()
const lake = await openLake({ dir })
const m = await materializer(lake, { schema: schemaOf(wide), flushRows: total })
const assignment = claimOf(topics.scores, 0)
await m.assigned(assignment)
const cpu = process.cpuUsage()
const started = performance.now()
let longestMs = 0
for (let i = 0; i < total; i += 500) {
  const t = performance.now()
  await m.batch(assignment, batchOf(records.slice(i, i + 500)))
  if (i + 500 < total) longestMs = Math.max(longestMs, performance.now() - t)
}
const took = performance.now() - started
const used = process.cpuUsage(cpu)
const { files } = await lake.snapshot()
console.log({
  features: features.length,
  bytesPerRecord: Math.round(bytes / total),
  rowsPerSecond: Math.round((total / took) * 1000),
  cpuMsPer1000: Math.round(((used.user + used.system) / 1000 / total) * 1e6) / 1000,
  batchOf500MsMax: Math.round(longestMs),
  fileBytesPerRow: Math.round((files[0]?.bytes ?? 0) / total),
  rssMb: Math.round(process.memoryUsage.rss() / 1e6),
})
await m.stop()
remove()
