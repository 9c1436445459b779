import { resolve, join } from 'node:path'
import { RiverbankError } from '../core/errors.ts'
import type { Clock } from '../ports.ts'
import { openCommitLog } from './commit-log.ts'
import type { CommitLog, CommitLogOptions } from './commit-log.ts'
import { partitionKey } from './commit.ts'
import type { FileEntry, TableSchema } from './commit.ts'
import { digestFile, isErrno } from './durable.ts'
import type { TableName } from './table.ts'

/** The lake at one version: what a query reads, whatever is committed meanwhile. */
export interface Snapshot {
  readonly version: number
  readonly files: readonly FileEntry[]
  /** Oldest first. */
  readonly schemas: readonly TableSchema[]
  /** By topic and partition (`<topic>/<partition>`): the next offset that no file covers. */
  readonly covered: ReadonlyMap<string, number>
}

export interface Damage {
  readonly path: string
  readonly kind: 'missing' | 'wrong_size' | 'wrong_checksum'
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
  const log = await openCommitLog({ ...rest, clock, folder: join(dir, '_log') })
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

/** Compares every file with its checksum; a Parquet file with a flipped bit can answer other sums in silence. */
export async function findDamage(lake: Lake, snapshot: Snapshot): Promise<readonly Damage[]> {
  const found: Damage[] = []
  for (const file of snapshot.files) {
    const kind = await damageOf(lake.pathOf(file), file)
    if (kind !== null) found.push({ path: file.path, kind })
  }
  return found
}

async function damageOf(path: string, file: FileEntry): Promise<Damage['kind'] | null> {
  try {
    const { bytes, sha256 } = await digestFile(path)
    if (bytes !== file.bytes) return 'wrong_size'
    return sha256 === file.sha256 ? null : 'wrong_checksum'
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'missing'
    throw new RiverbankError('lake_unreadable', `${path} cannot be read`, { cause: error, canRetry: true })
  }
}
