import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ageMs } from './log-files.ts'
import { isErrno } from './durable.ts'
import type { Lake } from './lake.ts'
import { filePrefix, stagingFolder } from './table-files.ts'
import { tableNames } from './table.ts'

export interface OrphanOptions {
  readonly topic: string
  readonly partition: number
  /** Younger files are left alone: another process may be about to commit them. */
  readonly graceMs: number
  readonly nowMs: number
}

/**
 * Deletes files of one partition that no version names: what a crash left between writing and committing. Only the
 * partition's owner may call it, after its ownership is committed: a former owner can then no longer commit them.
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
  // Listed first, then compared: a file committed in between is in the state, and stays.
  const state = await lake.log.refresh()
  const orphans = found.filter((path) => !state.files.has(path) && !state.retired.has(path))
  const removed: string[] = []
  for (const path of orphans) {
    const age = await ageMs(join(lake.dir, path), options.nowMs)
    if (age === null || age < options.graceMs) continue
    await rm(join(lake.dir, path), { force: true })
    removed.push(path)
  }
  return removed
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
