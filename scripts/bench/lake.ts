import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cpuSeconds } from './cpu.ts'
import { feedHistory, openFeed } from './feed.ts'
import type { Metric } from './measurement.ts'
import type { Installation } from './installation.ts'
import { historyPayments, type Place } from './place.ts'
import { untilDone } from './progress.ts'
import { eachRound, type Run } from './run.ts'
import { names } from '../../src/app/installation/settings/config.ts'

/**
 * Measures the materializer alone: everything is scored before it starts. Rows are those of the log's two topics, the
 * time begins with its process, its start included; its processor time says what one row costs.
 */
export async function benchLake(run: Run, place: Place): Promise<void> {
  const payments = historyPayments(run)
  await eachRound(run, `lake on ${place.driver}, ${payments} payments`, () =>
    // Rows are written as soon as there are few: else the last ones would wait for five seconds.
    place.within({ roles: ['process'], env: { RIVERBANK_LAKE_FLUSH_MS: '300' } }, async (installation) => {
      await feedHistory(installation, openFeed(payments), payments, run.signal, 'scored')
      const rows = await recordsOf(installation)
      const startedMs = performance.now()
      installation.start('materialize')
      await untilDone(installation, 'materialized', run.signal)
      const seconds = (performance.now() - startedMs) / 1_000
      const used = (await cpuSeconds(installation.pids())).get('materialize-1') ?? NaN
      const metric = (name: string, unit: string): Metric => {
        return { benchmark: 'lake', driver: place.driver, name, unit }
      }
      run.record(metric('rows, start of the process included', 'rows/s'), rows / seconds)
      run.record(metric('processor time', 'µs/row'), (used * 1e6) / rows)
      run.record(metric('files', 'bytes/row'), (await bytesIn(join(installation.config.DATA_DIR, 'lake'))) / rows)
    }),
  )
}

/** Records of both topics that the log holds. */
export async function recordsOf({ config, log }: Installation): Promise<number> {
  const { events, scores } = names(config).topics
  const ranges = await Promise.all([log.describeTopic(events), log.describeTopic(scores)])
  return ranges.flatMap((range) => range ?? []).reduce((sum, { start, end }) => sum + end - start, 0)
}

async function bytesIn(dir: string): Promise<number> {
  const files = await readdir(dir, { recursive: true, withFileTypes: true })
  const parquet = files.filter((file) => file.isFile() && file.name.endsWith('.parquet'))
  const sizes = await Promise.all(parquet.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
