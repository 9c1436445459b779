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

/** The steps that repair the log itself. Each leaves a log that says no more than is there, wherever it is interrupted. */

export async function restoreCommit(dir: string, version: number, text: string): Promise<void> {
  await keepInQuarantine(dir, join(logFolder, commitName(version)))
  await replaceFile(join(dir, logFolder), commitName(version), text)
}

/**
 * A checkpoint of the newest version, with what the intact commits say; positions that only a missing commit named are
 * recorded as lost until they are read again. Commits follow it as they would have followed the newest one, because the
 * chain names its checksum. Errors: `lake_contended` (canRetry), and nothing has changed, when another version than this one
 * is the newest: who writes beside a repair knows commits that the checkpoint does not, and what it writes follows those.
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
  // A damaged one of the same name would be what readers begin with.
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

/** Commits and checkpoints below a checkpoint that is whole. From the bottom: what is left is a history without a gap. */
export async function retireHistory(dir: string, below: number): Promise<void> {
  const { commits, checkpoints } = await listLog(join(dir, logFolder))
  const names = [
    ...checkpoints.filter((version) => version < below).map(checkpointName),
    ...commits.filter((version) => version < below).map(commitName),
  ]
  for (const name of names) await moveToQuarantine(dir, join(logFolder, name))
  // The commit that the checkpoint stands for is needed by nobody either; a damaged one would be told again.
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
