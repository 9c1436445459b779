import { readFileSync } from 'node:fs'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import type { FeatureSetManifest } from '../../../src/engine/feature-set.ts'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { batchOf, claimOf, day, materializer, record, schemaOf, score, tempFolder, topics } from './feed.ts'

/**
 * `node scripts/bootstrap/run.mjs test/lake/support/compaction-bench.ts`: milliseconds to merge 16 files of 1,000
 * scores, the better of two.
 */
const manifest = JSON.parse(readFileSync('features/compiled/feature-set.json', 'utf8')) as FeatureSetManifest
const [files, rows, rounds] = [16, 1_000, 2]
const tookMs: number[] = []
const cpuMs: number[] = []
let bytes = 0
for (let round = 0; round < rounds; round += 1) {
  const { dir, remove } = tempFolder()
  const lake = await openLake({ dir })
  const m = await materializer(lake, { schema: schemaOf(manifest) })
  const assignment = claimOf(topics.scores, 0)
  await m.assigned(assignment)
  for (let file = 0; file < files; file += 1) {
    const records = Array.from({ length: rows }, (_, i) => {
      const n = file * rows + i
      const values = manifest.features.map(({ name, type }) => {
        const value = type === 'integer' ? (n * name.length) % 9_973 : ((n * 7_919) % 100_003) / (1 + name.length)
        return `"${name}":${value}`
      })
      return record(topics.scores, n, score(`s${n}`, `p${n}`, day + n, `{${values.join(',')}}`, n))
    })
    await m.batch(assignment, batchOf(records))
    await m.flush()
  }
  bytes = (await lake.snapshot()).files.reduce((sum, file) => sum + file.bytes, 0)
  const writer = await openTableWriter({ threads: 1, memoryMb: 1_024, rowGroupRows: 50_000 })
  const options = { minFiles: 8, maxFiles: 64, targetBytes: 64 << 20, retireGraceMs: 600_000, nowMs: Date.now() }
  const before = process.cpuUsage()
  const startedMs = performance.now()
  const { merged } = await compact({ ...options, lake, writer })
  tookMs.push(Math.round(performance.now() - startedMs))
  const used = process.cpuUsage(before)
  cpuMs.push(Math.round((used.user + used.system) / 1_000))
  if (merged !== files) throw new Error(`merged ${merged}`)
  await writer.close()
  await m.stop()
  remove()
}
console.log({
  files,
  megabytes: Math.round(bytes / 1e5) / 10,
  tookMs,
  bestMs: Math.min(...tookMs),
  cpuMs,
  bestCpuMs: Math.min(...cpuMs),
})
