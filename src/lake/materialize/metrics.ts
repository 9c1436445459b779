import type { Meter } from '../../ports/telemetry.ts'
import type { FileEntry } from '../commit/commit.ts'
import type { Damage } from '../commit/damage.ts'

export interface LakeMetrics {
  /** `delayMs`: age of the oldest row when it was written, by its append time; null when there were no rows. */
  written(files: readonly FileEntry[], tookMs: number, delayMs: number | null): void
  conflict(): void
  buffered(rows: number): void
}

export function lakeMetrics(meter: Meter): LakeMetrics {
  const rows = meter.counter('riverbank_lake_rows_total', 'Rows committed to the lake', ['table'])
  const files = meter.counter('riverbank_lake_files_total', 'Files committed to the lake', ['table'])
  const bytes = meter.counter('riverbank_lake_bytes_total', 'Bytes committed to the lake', ['table'])
  const conflicts = meter.counter('riverbank_lake_conflicts_total', 'Flushes given up because another writer won')
  const held = meter.gauge('riverbank_lake_buffered_rows', 'Rows read from the log and not yet in the lake')
  const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
  const took = meter.histogram('riverbank_lake_flush_seconds', 'Duration of writing and committing one flush', buckets)
  const delay = meter.histogram('riverbank_lake_delay_seconds', 'Age of the oldest row of a flush', buckets)
  return {
    written(entries, tookMs, delayMs) {
      for (const entry of entries) {
        rows.add(entry.rows, { table: entry.table })
        files.add(1, { table: entry.table })
        bytes.add(entry.bytes, { table: entry.table })
      }
      took.observe(tookMs / 1000)
      if (delayMs !== null) delay.observe(delayMs / 1000)
    },
    conflict: () => conflicts.add(1),
    buffered: (count) => held.set(count),
  }
}

export interface DamageMetrics {
  /** The damaged files that the last compaction met. */
  files(damages: readonly Damage[]): void
  /** Whether the chain of commits can be read. */
  log(isDamaged: boolean): void
}

export function damageMetrics(meter: Meter): DamageMetrics {
  const files = meter.gauge('riverbank_lake_damaged_files', 'Files that the last compaction found damaged', [
    'table',
    'damage',
  ])
  const log = meter.gauge('riverbank_lake_log_damaged', '1 while a commit of the lake is missing or damaged')
  return {
    files(damages) {
      files.clear()
      const counts = new Map<string, number>()
      for (const { path, kind } of damages) {
        const key = `${path.slice(0, path.indexOf('/'))} ${kind}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      for (const [key, count] of counts) {
        const [table = '', damage = ''] = key.split(' ')
        files.set(count, { table, damage })
      }
    },
    log: (isDamaged) => log.set(isDamaged ? 1 : 0),
  }
}
