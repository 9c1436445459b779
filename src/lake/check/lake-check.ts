import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileEntry, LakeState, LostRange } from '../commit/commit.ts'
import { findDamage, type Damage } from '../commit/damage.ts'
import { isErrno } from '../commit/durable.ts'
import { logFolder } from '../commit/log-files.ts'
import { positionsIn } from '../files/table-files.ts'
import { tableNames } from '../tables/table.ts'
import { checkLog, type LogCheck, type LogFault } from './log-check.ts'

/** A file that differs from the manifest, and the positions that it held. */
export interface FileFault extends LostRange {
  readonly kind: 'file'
  readonly damage: Damage['kind']
  readonly path: string
}

export type Fault = FileFault | LogFault

/** A file that no commit names, so no reader sees it. Positions as far as its name has them. */
export interface UnnamedFile {
  readonly path: string
  readonly topic: string | null
  readonly partition: number | null
  readonly firstOffset: number | null
  readonly lastOffset: number | null
}

export interface LakeCheckReport {
  /** Nothing is damaged, and everything was checked. */
  readonly ok: boolean
  /** False when it was stopped. */
  readonly isComplete: boolean
  readonly version: number
  readonly commits: number
  readonly files: number
  readonly filesChecked: number
  readonly bytesChecked: number
  readonly damaged: readonly Fault[]
  readonly unnamed: readonly UnnamedFile[]
  /** Declared lost by an operator. Not damage. */
  readonly lost: readonly LostRange[]
  readonly seconds: number
}

export interface LakeCheckOptions {
  /** The lake's folder; nothing in it is changed. */
  readonly dir: string
  /** Stops between two files; the report says what was checked so far. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Pick<LakeCheckReport, 'files' | 'filesChecked' | 'bytesChecked'>) => void
}

export interface LakeCheck {
  readonly report: LakeCheckReport
  readonly log: LogCheck
  /** By path: the entries that the damaged files should match. */
  readonly damagedFiles: ReadonlyMap<string, FileEntry>
}

/**
 * Reads every commit and the checksum of every file of a lake, while others write it. In memory: the manifest and a few
 * chunks of files. Errors: `lake_unreadable` (canRetry).
 */
export async function checkLake(options: LakeCheckOptions): Promise<LakeCheck> {
  const { dir, signal, onProgress } = options
  const startedMs = performance.now()
  // Listed before the log is read: the state then has a file that is committed in between.
  const listed = await listFiles(dir)
  const log = await checkLog(join(dir, logFolder))
  const { state } = log
  const files = [...state.files.values()]
  let [filesChecked, bytesChecked] = [0, 0]
  const pathOf = ({ path }: Pick<FileEntry, 'path'>) => join(dir, path)
  const damages = await findDamage({ pathOf }, files, {
    ...(signal === undefined ? {} : { signal }),
    onFile: ({ bytes }) => {
      filesChecked += 1
      bytesChecked += bytes
      onProgress?.({ files: files.length, filesChecked, bytesChecked })
    },
  })
  // A file merged meanwhile may be gone.
  const live = damages.length === 0 ? state.files : (await checkLog(join(dir, logFolder))).state.files
  const damagedFiles = new Map<string, FileEntry>()
  const faults: Fault[] = [...log.faults]
  for (const { path, kind: damage } of damages) {
    const file = live.get(path)
    if (file === undefined) continue
    damagedFiles.set(path, file)
    const { table, topic, partition, firstOffset, lastOffset, rows } = file
    faults.push({ kind: 'file', damage, path, table, topic, partition, firstOffset, lastOffset, rows })
  }
  const isComplete = filesChecked === files.length
  const report: LakeCheckReport = {
    ok: isComplete && faults.length === 0,
    isComplete,
    version: state.version,
    commits: log.commits,
    files: files.length,
    filesChecked,
    bytesChecked,
    damaged: faults,
    unnamed: unnamedOf(listed, state, log.foreign),
    lost: [...state.lost.values()],
    seconds: (performance.now() - startedMs) / 1_000,
  }
  return { report, log, damagedFiles }
}

function unnamedOf(listed: readonly string[], state: LakeState, foreign: readonly string[]): UnnamedFile[] {
  const unnamed = listed.filter((path) => !state.files.has(path) && !state.retired.has(path))
  return [...unnamed, ...foreign.map((name) => `${logFolder}/${name}`)].map((path) => {
    const found = positionsIn(path.slice(path.lastIndexOf('/') + 1))
    return { path, ...(found ?? { topic: null, partition: null, firstOffset: null, lastOffset: null }) }
  })
}

/** Files of the tables, relative to the lake. */
async function listFiles(dir: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const table of tableNames) {
    for (const day of await list(join(dir, table))) {
      for (const name of await list(join(dir, table, day))) found.push(`${table}/${day}/${name}`)
    }
  }
  return found
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    if (isErrno(error, 'ENOTDIR')) return ['']
    throw error
  }
}
