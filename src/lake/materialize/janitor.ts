import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ageMs } from '../commit/log-files.ts'
import { partitionKey, type LakeState } from '../commit/commit.ts'
import { isErrno } from '../commit/durable.ts'
import type { Lake } from '../commit/lake.ts'
import { filePrefix, positionsIn, stagingFolder } from '../files/table-files.ts'
import { tableNames } from '../tables/table.ts'

export interface OrphanOptions {
  readonly topic: string
  readonly partition: number
  /** Younger files are left alone: another process may be about to commit them. */
  readonly graceMs: number
  readonly nowMs: number
  /** The first offset that the log still holds. */
  readonly logStart: number
}

/**
 * Deletes files of one partition that no version names: a crash left them between write and commit. Only the
 * partition's owner may call it, after its ownership is committed: a former owner can then no longer commit them. A
 * file whose rows are neither in other files nor in the log stays: its commit may be the one that is missing.
 */
export async function removeOrphans(lake: Lake, options: OrphanOptions): Promise<readonly string[]> {
  const prefix = filePrefix(options.topic, options.partition)
  const found: string[] = []
  for (const name of await list(join(lake.dir, stagingFolder))) {
    if (name.startsWith(prefix)) found.push(`${stagingFolder}/${name}`)
  }
  for (const table of tableNames) {
    for (const day of await list(join(lake.dir, table))) {
      for (const name of await list(join(lake.dir, table, day))) {
        if (name.startsWith(prefix)) found.push(`${table}/${day}/${name}`)
      }
    }
  }
  // List first, then compare: the state has a file committed in between, which stays.
  const state = await lake.log.refresh()
  const orphans = found.filter(
    (path) => !state.files.has(path) && !state.retired.has(path) && !isLast(path, state, options),
  )
  const removed: string[] = []
  for (const path of orphans) {
    const age = await ageMs(join(lake.dir, path), options.nowMs)
    if (age === null || age < options.graceMs) continue
    await rm(join(lake.dir, path), { force: true })
    removed.push(path)
  }
  return removed
}

/** Whether an unnamed file is, or may be, the last to have its rows. */
function isLast(path: string, state: LakeState, { topic, partition, logStart }: OrphanOptions): boolean {
  // A staged file was never committed: the log still has its records.
  if (path.startsWith(`${stagingFolder}/`)) return false
  const found = positionsIn(path.slice(path.lastIndexOf('/') + 1))
  if (found === null) return true
  const { firstOffset, lastOffset } = found
  if (logStart <= firstOffset) return false
  const isLost = [...state.lost.values()].some(
    (range) =>
      range.topic === topic &&
      range.partition === partition &&
      range.firstOffset <= lastOffset &&
      range.lastOffset >= firstOffset,
  )
  return isLost || lastOffset >= (state.covered.get(partitionKey(topic, partition)) ?? 0)
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
