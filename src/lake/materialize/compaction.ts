import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { TableWriter } from '../../ports/tables.ts'
import type { FileEntry } from '../commit/commit.ts'
import { withWholeFiles, type Damage, type WholeResult } from '../commit/damage.ts'
import { makeFolder, sealFile, syncFolder } from '../commit/durable.ts'
import { mergedIdLists, readIdList, writeIdList } from '../files/id-list.ts'
import type { Lake } from '../commit/lake.ts'
import { discardFiles, discardRefused, filePrefix, stagingFolder } from '../files/table-files.ts'

export interface CompactionOptions {
  readonly lake: Lake
  readonly writer: TableWriter
  /** Fewer neighbours than this are left alone. */
  readonly minFiles: number
  /** At most this many become one. */
  readonly maxFiles: number
  /** Files of this size are large enough. */
  readonly targetBytes: number
  /** How long a retired file stays on disk, for the queries that still read it. */
  readonly retireGraceMs: number
  readonly nowMs: number
}

/** Files that could not be merged; they stay as they are, and the next compaction tries again. */
export interface FailedMerge {
  /** The first of them. */
  readonly path: string
  readonly files: number
  readonly error: unknown
}

export interface CompactionResult {
  readonly merged: number
  readonly written: number
  readonly purged: number
  /** Merges given up because another compaction was first. */
  readonly lost: number
  /** Files to merge that differ from the manifest: they stay as they are, and readers continue. */
  readonly damaged: readonly Damage[]
  readonly failed: readonly FailedMerge[]
}

/**
 * Merges neighbouring small files of one table, day, partition and schema; then deletes what was retired long enough
 * ago, and the commits that no reader needs, because every opening of the lake lists them. The rows and their order
 * stay, so a reader of any version reads the same. Safe to run anywhere, any number of times at once: the lake refuses
 * the second commit. Leaves out a damaged file, which ends its run, because a merged file would have a fresh checksum
 * over its bytes; its neighbours on both sides are still merged. A merge that fails ends neither the others nor the
 * deleting: it may fail at every turn, and what is retired would fill the disk meanwhile. Errors: those of the log.
 */
export async function compact(options: CompactionOptions): Promise<CompactionResult> {
  const { lake } = options
  const { files } = await lake.snapshot()
  const damaged = new Map<string, Damage>()
  const failed: FailedMerge[] = []
  const totals = { merged: 0, written: 0, lost: 0 }
  const runs = [...mergeRuns(files, options)]
  for (let run = runs.shift(); run !== undefined; run = runs.shift()) {
    const made = await mergeRun(run, options).catch((error: unknown) => ({ kind: 'failed' as const, error }))
    if (made.kind === 'failed') {
      failed.push({ path: run[0]?.path ?? '', files: run.length, error: made.error })
      continue
    }
    if (made.kind === 'damaged') {
      for (const damage of made.damages) damaged.set(damage.path, damage)
      runs.unshift(...mergeRuns(run, options, damaged))
      continue
    }
    const entry = made.result
    const result = await lake.log.commit({ added: [entry], removed: run.map(({ path }) => path) })
    if (result.kind === 'committed') {
      totals.merged += run.length
      totals.written += 1
    } else {
      totals.lost += 1
      await discardRefused(lake, [entry])
    }
  }
  return { ...totals, failed, damaged: await stillLive(lake, damaged), purged: await purge(options) }
}

/** A file that another compaction retired meanwhile is not damaged. */
async function stillLive(lake: Lake, damaged: ReadonlyMap<string, Damage>): Promise<readonly Damage[]> {
  if (damaged.size === 0) return []
  const { files } = await lake.log.refresh()
  return [...damaged.values()].filter(({ path }) => files.has(path))
}

/** Neighbours that can become one file, without those known to be damaged. Pure. */
export function mergeRuns(
  files: readonly FileEntry[],
  limits: Pick<CompactionOptions, 'minFiles' | 'maxFiles' | 'targetBytes'>,
  damaged: Pick<ReadonlyMap<string, Damage>, 'has'> = new Map(),
): readonly (readonly FileEntry[])[] {
  const groups = new Map<string, FileEntry[]>()
  for (const file of files) {
    const key = `${dirname(file.path)} ${file.topic} ${file.partition}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [file])
    else group.push(file)
  }
  const runs: FileEntry[][] = []
  for (const group of groups.values()) {
    let run: FileEntry[] = []
    let bytes = 0
    for (const file of group.toSorted((a, b) => a.firstOffset - b.firstOffset)) {
      const fits = file.schemaId === run[0]?.schemaId && run.length < limits.maxFiles && bytes < limits.targetBytes
      const stays = file.bytes >= limits.targetBytes || damaged.has(file.path)
      if (!fits || stays) {
        runs.push(run)
        run = []
        bytes = 0
      }
      if (stays) continue
      run.push(file)
      bytes += file.bytes
    }
    runs.push(run)
  }
  return runs.filter(({ length }) => length >= Math.max(2, limits.minFiles))
}

async function mergeRun(
  run: readonly FileEntry[],
  { lake, writer }: CompactionOptions,
): Promise<WholeResult<FileEntry>> {
  const [first, last] = [run[0], run.at(-1)]
  assert(first !== undefined && last !== undefined, 'a run has two files at least')
  const { lastOffset } = last
  const { topic, partition, firstOffset } = first
  const suffix = randomBytes(4).toString('hex')
  const name = `${filePrefix(topic, partition)}${firstOffset}-${lastOffset}.${suffix}.parquet`
  const path = `${dirname(first.path)}/${name}`
  const staged = join(lake.dir, stagingFolder, name)
  await makeFolder(dirname(staged))
  const paths = run.map((file) => lake.pathOf(file))
  try {
    const made = await withWholeFiles(lake, run, () => writer.merge(paths, staged))
    if (made.kind === 'damaged') return made
    const rows = made.result
    const expected = run.reduce((sum, file) => sum + file.rows, 0)
    if (rows !== expected) {
      const why = `${run.length} files from ${first.path} hold ${rows} rows, not ${expected}`
      throw new RiverbankError('lake_corrupt', why)
    }
    const sealed = await sealFile(staged)
    await mergeIdLists(lake, run, path)
    await rename(staged, join(lake.dir, path))
    await syncFolder(dirname(join(lake.dir, path)))
    return { kind: 'whole', result: { ...first, path, lastOffset, rows, ...sealed, ...eventTimesOf(run) } }
  } finally {
    await rm(staged, { force: true })
  }
}

/** Where a list is missing, the merged file gets none: `createIdListKeeper` makes it later. */
async function mergeIdLists({ dir }: Lake, run: readonly FileEntry[], path: string): Promise<void> {
  const lists = await Promise.all(run.map((file) => readIdList(dir, file.path)))
  const whole = lists.filter((list) => list !== null)
  if (whole.length === run.length) await writeIdList(dir, path, mergedIdLists(whole))
}

function eventTimesOf(run: readonly FileEntry[]): Pick<FileEntry, 'minEventTimeMs' | 'maxEventTimeMs'> {
  const times = run.flatMap(({ minEventTimeMs: min, maxEventTimeMs: max }) =>
    min === null || max === null ? [] : [min, max],
  )
  if (times.length === 0) return { minEventTimeMs: null, maxEventTimeMs: null }
  return { minEventTimeMs: Math.min(...times), maxEventTimeMs: Math.max(...times) }
}

async function purge({ lake, retireGraceMs, nowMs }: CompactionOptions): Promise<number> {
  await lake.log.trim()
  const state = await lake.log.refresh()
  const due = [...state.retired].filter(([, removedAtMs]) => nowMs - removedAtMs >= retireGraceMs)
  const purged = due.map(([path]) => path)
  if (purged.length === 0) return 0
  await discardFiles(
    lake.dir,
    purged.map((path) => ({ path })),
  )
  await lake.log.commit({ purged })
  return purged.length
}
