import { identifier, literal } from '../../base/sql.ts'
import { stat } from 'node:fs/promises'
import { partitionKey, type FileEntry } from '../commit/commit.ts'
import { isErrno } from '../commit/durable.ts'
import { findDamage, type Damage } from '../commit/damage.ts'
import type { Lake, Snapshot } from '../commit/lake.ts'
import { tableNames } from '../tables/table.ts'
import { countOf, type LakeQuery, type LakeRow } from './lake-query.ts'
import { lostOffsets } from './lost.ts'
import { shown, type Tally, type Violation } from './report.ts'

/**
 * Finds files that differ from the manifest, apart from violations: the disk failed, not the promise. `fast` compares
 * sizes only, and finds no flipped bit.
 */
export async function checkDamage(
  lake: Lake,
  snapshot: Snapshot,
  fast: boolean,
  tally: Tally,
): Promise<readonly Violation[]> {
  tally.count('files', snapshot.files.length)
  const damages = fast ? await sizeDamage(lake, snapshot) : await findDamage(lake, snapshot.files)
  const entries = new Map(snapshot.files.map((file) => [file.path, file]))
  return damages.map(({ path, kind }) => {
    const file = entries.get(path)
    const { topic = '', partition = -1, firstOffset = -1, lastOffset = -1 } = file ?? {}
    return { code: `file_${kind}`, fields: { path, topic, partition, firstOffset, lastOffset } }
  })
}

/** Files that are missing or have another size: nobody should try to read these. */
export async function sizeDamage(lake: Lake, snapshot: Snapshot): Promise<readonly Damage[]> {
  const found: Damage[] = []
  for (const file of snapshot.files) {
    try {
      const { size } = await stat(lake.pathOf(file))
      if (size !== file.bytes) found.push({ path: file.path, kind: 'wrong_size' })
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      found.push({ path: file.path, kind: 'missing' })
    }
  }
  return found
}

/** Checks the manifest alone: ranges of one table do not overlap, and `covered` is above all of them. */
export function checkRanges(snapshot: Snapshot, tally: Tally): void {
  for (const file of snapshot.files) {
    const covered = snapshot.covered.get(partitionKey(file.topic, file.partition)) ?? 0
    if (file.lastOffset >= covered) {
      tally.violation('file_beyond_covered', () => ({ path: file.path, lastOffset: file.lastOffset, covered }))
    }
  }
  const ofPartition = groupBy(snapshot.files, (f) => `${f.table} ${partitionKey(f.topic, f.partition)}`)
  for (const files of ofPartition) {
    files.sort((a, b) => a.firstOffset - b.firstOffset || a.lastOffset - b.lastOffset)
    let last: FileEntry | null = null
    for (const file of files) {
      if (last !== null && file.firstOffset <= last.lastOffset) {
        const other = last.path
        tally.violation('ranges_overlap', () => ({ path: file.path, other }))
      }
      if (last === null || file.lastOffset > last.lastOffset) last = file
    }
  }
}

/**
 * Checks every file against its manifest entry: rows, offsets and partition. Unless some offset stands twice
 * (`hasDoubles`, see {@link checkOffsets}), the different offsets of a file are its rows.
 */
export async function checkFiles(
  lake: Lake,
  snapshot: Snapshot,
  query: LakeQuery,
  hasDoubles: boolean,
  tally: Tally,
): Promise<void> {
  // One schema at a time: reading different schemas together by name would mix types.
  for (const files of groupBy(snapshot.files, ({ table, schemaId }) => `${table}/${schemaId}`)) {
    const byPath = new Map(files.map((file) => [lake.pathOf(file), file]))
    const paths = [...byPath.keys()].map(literal).join(', ')
    const sql = `SELECT filename, count(*), min(log_offset), max(log_offset), count(${hasDoubles ? 'DISTINCT ' : ''}log_offset),
        min(log_partition), max(log_partition), min(log_topic), max(log_topic)
      FROM read_parquet([${paths}], hive_partitioning = false, filename = true) GROUP BY filename`
    await query.each(sql, (rows) => {
      for (const [path, count, first, last, distinct, partition, partitionMax, topic, topicMax] of rows) {
        const file = byPath.get(String(path))
        if (file === undefined) continue
        byPath.delete(String(path))
        tally.count('rows', Number(count))
        const found = [count, first, last, distinct, partition, partitionMax, topic, topicMax]
        const { rows: stated, firstOffset, lastOffset, partition: p, topic: t } = file
        const expected = [stated, firstOffset, lastOffset, stated, p, p, t, t]
        if (found.some((value, i) => value !== expected[i])) {
          tally.violation('file_differs', () => ({
            path: file.path,
            found: JSON.stringify(found.map(shown)),
            stated: JSON.stringify(expected),
          }))
        }
      }
    })
    for (const file of byPath.values()) tally.violation('file_differs', () => ({ path: file.path, found: 'no rows' }))
  }
}

/**
 * Checks the rows of all tables that one topic feeds: no offset twice, and, where the log gives every offset to a
 * record (`dense`), no gap between the first row and `covered`. Answers whether any stands twice.
 */
export async function checkOffsets(
  snapshot: Snapshot,
  query: LakeQuery,
  dense: boolean,
  tally: Tally,
): Promise<boolean> {
  let hasDoubles = false
  const positions = tableNames.map((t) => `SELECT log_topic, log_partition, log_offset FROM ${identifier(t)}`)
  await query.run(`CREATE TEMP VIEW positions AS ${positions.join(' UNION ALL ')}`)
  const partitions = await query.rows(
    `SELECT log_topic, log_partition, count(*) AS total, min(log_offset) AS first_offset, max(log_offset) AS last_offset
     FROM positions GROUP BY ALL ORDER BY ALL`,
  )
  const different = await query.rows(
    `SELECT log_topic, log_partition, ${differentSql(partitions)} AS offsets FROM positions GROUP BY ALL`,
  )
  for (const row of partitions) {
    const [topic, partition] = [String(row['log_topic']), countOf(row, 'log_partition')]
    const offsets = countOf(
      different.find((other) => other['log_topic'] === topic && countOf(other, 'log_partition') === partition),
      'offsets',
    )
    const doubled = countOf(row, 'total') - offsets
    tally.count('offsets', offsets)
    if (doubled > 0) {
      hasDoubles = true
      const [example] = await query.rows(
        `SELECT log_offset FROM positions WHERE log_topic = ${literal(topic)} AND log_partition = ${partition}
         GROUP BY log_offset HAVING count(*) > 1 ORDER BY log_offset LIMIT 1`,
      )
      const firstOffset = countOf(example, 'log_offset')
      tally.violation('offset_twice', () => ({ topic, partition, rows: doubled, firstOffset }), doubled)
    }
    const covered = snapshot.covered.get(partitionKey(topic, partition)) ?? 0
    const firstOffset = countOf(row, 'first_offset')
    // Lost offsets below the first row are reported, and excuse nothing above it.
    const below = await lostOffsets(snapshot, query, { topic, partition, firstOffset: 0, lastOffset: firstOffset - 1 })
    const lost = await lostOffsets(snapshot, query, { topic, partition, firstOffset, lastOffset: covered - 1 })
    if (below + lost > 0) tally.count('offsets lost', below + lost)
    const absent = covered - firstOffset - offsets - lost
    if (absent <= 0) continue
    tally.count('offsets absent', absent)
    if (dense) tally.violation('offset_missing', () => ({ topic, partition, covered, rows: absent }), absent)
  }
  return hasDoubles
}

/**
 * Bits that one aggregation may need for all partitions, in every thread: 16 MB. (The database allows a range of 10⁹.)
 */
const bitsMax = 2 ** 27

/** SQL that counts different offsets: with a bit for each possible one, unless these are too many. */
function differentSql(partitions: readonly LakeRow[]): string {
  const first = Math.min(...partitions.map((row) => countOf(row, 'first_offset')))
  const last = Math.max(...partitions.map((row) => countOf(row, 'last_offset')))
  const fits = partitions.length > 0 && (last - first + 1) * partitions.length <= bitsMax
  return fits ? `bit_count(bitstring_agg(log_offset, ${first}, ${last}))` : 'count(DISTINCT log_offset)'
}

function groupBy(files: readonly FileEntry[], keyOf: (file: FileEntry) => string): FileEntry[][] {
  const groups = new Map<string, FileEntry[]>()
  for (const file of files) {
    const group = groups.get(keyOf(file))
    if (group === undefined) groups.set(keyOf(file), [file])
    else group.push(file)
  }
  return [...groups.values()]
}
