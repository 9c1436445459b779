import { resolve, join } from 'node:path'
import type { Clock } from '../../ports/clock.ts'
import { openCommitLog } from './commit-log.ts'
import type { CommitLog, CommitLogOptions } from './commit-log.ts'
import { partitionKey } from './commit.ts'
import type { FileEntry, LostRange, TableSchema } from './commit.ts'
import { logFolder } from './log-files.ts'
import type { TableName } from '../tables/table.ts'

/** The lake at one version: what a query reads, whatever is committed meanwhile. */
export interface Snapshot {
  readonly version: number
  readonly files: readonly FileEntry[]
  /** Oldest first. */
  readonly schemas: readonly TableSchema[]
  /** By topic and partition (`<topic>/<partition>`): the next offset that no file covers. */
  readonly covered: ReadonlyMap<string, number>
  /** Covered, and declared lost: no file holds them. */
  readonly lost: readonly LostRange[]
}

export interface Lake {
  /** Absolute. */
  readonly dir: string
  readonly log: CommitLog
  snapshot(): Promise<Snapshot>
  /** Null when nothing of the partition was ever written. */
  covered(topic: string, partition: number): Promise<number | null>
  pathOf(file: Pick<FileEntry, 'path'>): string
}

export interface LakeOptions extends Pick<CommitLogOptions, 'checkpointEvery' | 'keptVersions'> {
  /** `<data folder>/lake`; created when it is missing. */
  readonly dir: string
  readonly clock?: Clock
}

export async function openLake(options: LakeOptions): Promise<Lake> {
  const dir = resolve(options.dir)
  const { dir: _dir, clock = { nowMs: () => Date.now() }, ...rest } = options
  const log = await openCommitLog({ ...rest, clock, folder: join(dir, logFolder) })
  return {
    dir,
    log,
    async snapshot() {
      const state = await log.refresh()
      return {
        version: state.version,
        files: [...state.files.values()],
        schemas: [...state.schemas.values()],
        covered: new Map(state.covered),
        lost: [...state.lost.values()],
      }
    },
    async covered(topic, partition) {
      return (await log.refresh()).covered.get(partitionKey(topic, partition)) ?? null
    },
    pathOf: ({ path }) => join(dir, path),
  }
}

export function filesOf(snapshot: Snapshot, table: TableName): readonly FileEntry[] {
  return snapshot.files.filter((file) => file.table === table)
}
