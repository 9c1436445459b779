import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RiverbankError } from '../../base/errors.ts'
import { checkpointOf, lostKey, type LostRange } from '../commit/commit.ts'
import { replaceFile } from '../commit/durable.ts'
import { checkLog } from '../check/log-check.ts'
import { checkpointName, commitName, listLog, logFolder, writeCheckpoint, writeHead } from '../commit/log-files.ts'
import type { LogRanges } from './log-range.ts'
import { splitHole } from './plan.ts'
import { keepInQuarantine, moveToQuarantine } from './quarantine.ts'

/**
 * The steps that repair the log itself. Interrupted anywhere, each leaves a log that names nothing that is not there.
 */

export async function restoreCommit(dir: string, version: number, text: string): Promise<void> {
  await keepInQuarantine(dir, join(logFolder, commitName(version)))
  await replaceFile(join(dir, logFolder), commitName(version), text)
}

/**
 * Writes a checkpoint of the newest version from the intact commits; it records positions that only a missing commit
 * named as lost until a repair rereads them. Commits follow it as they would have followed the newest one, because the
 * chain names its checksum. Errors: `lake_contended` (canRetry), and nothing has changed, when another version is the
 * newest: a writer beside the repair knows commits that the checkpoint lacks, and its commits follow those.
 */
export async function beginAnew(
  dir: string,
  { version, holes }: { readonly version: number; readonly holes: readonly LostRange[] },
  ranges: LogRanges | null,
): Promise<void> {
  const folder = join(dir, logFolder)
  const { state, faults } = await checkLog(folder)
  if (state.version !== version) throw goesOn(folder, state.version)
  for (const hole of holes.flatMap((one): readonly LostRange[] => splitHole(one, ranges))) {
    state.lost.set(lostKey(hole), hole)
  }
  // Readers would begin with a damaged one of the same name.
  const name = checkpointName(version)
  const before = (await keepInQuarantine(dir, join(logFolder, name)))
    ? await readFile(join(folder, name), 'utf8')
    : null
  await writeCheckpoint(folder, checkpointOf(state))
  const newest = (await listLog(folder)).commits.at(-1) ?? 0
  if (newest > version) {
    if (before === null) await rm(join(folder, name))
    else await replaceFile(folder, name, before)
    throw goesOn(folder, newest)
  }
  await writeHead(folder, state)
  for (const { kind, name } of faults) if (kind !== 'head') await moveToQuarantine(dir, join(logFolder, name))
  await retireHistory(dir, state.version)
}

function goesOn(folder: string, version: number): RiverbankError {
  const why = `${folder} went on to version ${version} while it was repaired: stop the materializers first`
  return new RiverbankError('lake_contended', why, { canRetry: true })
}

/**
 * Removes commits and checkpoints below a whole checkpoint, from the bottom: the remaining history has no missing
 * version.
 */
export async function retireHistory(dir: string, below: number): Promise<void> {
  const { commits, checkpoints } = await listLog(join(dir, logFolder))
  const names = [
    ...checkpoints.filter((version) => version < below).map(checkpointName),
    ...commits.filter((version) => version < below).map(commitName),
  ]
  for (const name of names) await moveToQuarantine(dir, join(logFolder, name))
  // Nobody needs the checkpoint's own commit either; the next check would report a damaged one again.
  const { faults } = await checkLog(join(dir, logFolder))
  for (const { kind, name, version } of faults) {
    if (kind === 'commit' && version === below) await moveToQuarantine(dir, join(logFolder, name))
  }
}

export async function renewHead(dir: string): Promise<void> {
  const folder = join(dir, logFolder)
  const { state } = await checkLog(folder)
  await keepInQuarantine(dir, join(logFolder, 'head.json'))
  await writeHead(folder, state)
}

export async function retireLogFile(dir: string, name: string): Promise<void> {
  if (await keepInQuarantine(dir, join(logFolder, name))) await rm(join(dir, logFolder, name), { force: true })
}
