import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno, linkFile, makeFolder, syncFolder } from '../commit/durable.ts'

export const quarantineFolder = '_quarantine'
const copiesMax = 1_000

/**
 * Links a file into the quarantine under its own path; copies nothing, and leaves the file where it is. A second call
 * changes nothing. False when the file is gone.
 */
export async function keepInQuarantine(dir: string, path: string): Promise<boolean> {
  const from = join(dir, path)
  const to = join(dir, quarantineFolder, path)
  await makeFolder(dirname(to))
  for (let copy = 0; copy < copiesMax; copy += 1) {
    const name = copy === 0 ? to : `${to}.${copy}`
    try {
      if (!(await linkFile(from, name))) continue
      await syncFolder(dirname(to))
      return true
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
  }
  throw new Error(`${to} is taken ${copiesMax} times`)
}

/** Takes a file out of the lake; it is in the quarantine from then on. */
export async function moveToQuarantine(dir: string, path: string): Promise<void> {
  if (await keepInQuarantine(dir, path)) await rm(join(dir, path), { force: true })
}
