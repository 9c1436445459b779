import { link, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno, makeFolder, syncFolder } from '../durable.ts'

export const quarantineFolder = '_quarantine'
const copiesMax = 1_000

/**
 * Gives a file a second name in the quarantine, under its own path there; nothing of it is copied, and it stays where it is.
 * Called again for the same file, it changes nothing. False when the file is gone.
 */
export async function keepInQuarantine(dir: string, path: string): Promise<boolean> {
  const from = join(dir, path)
  const to = join(dir, quarantineFolder, path)
  await makeFolder(dirname(to))
  for (let copy = 0; copy < copiesMax; copy += 1) {
    const name = copy === 0 ? to : `${to}.${copy}`
    try {
      await link(from, name)
      await syncFolder(dirname(to))
      return true
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      if (!isErrno(error, 'EEXIST')) throw error
      if (await isSameFile(from, name)) return true
    }
  }
  throw new Error(`${to} is taken ${copiesMax} times`)
}

/** Takes a file out of the lake; it is in the quarantine from then on. */
export async function moveToQuarantine(dir: string, path: string): Promise<void> {
  if (await keepInQuarantine(dir, path)) await rm(join(dir, path), { force: true })
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a), stat(b)])
  return one.ino === other.ino && one.dev === other.dev
}
