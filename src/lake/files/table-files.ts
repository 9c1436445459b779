import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { TableWriter } from '../../ports/tables.ts'
import type { FileEntry } from '../commit/commit.ts'
import { makeFolder, sealFile, syncFolder } from '../commit/durable.ts'
import { idListOfColumns, listName, removeIdList, writeIdList } from './id-list.ts'
import type { Lake } from '../commit/lake.ts'
import type { TableBuffer } from '../tables/table.ts'

/** Points at which a crash leaves files behind; tests stop the process there. */
export type WritePoint = 'staged' | 'renamed' | 'committed'

export interface FilePart {
  readonly buffer: TableBuffer<never>
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** `YYYY-MM-DD`, UTC, of the log's append time. */
  readonly date: string
}

export interface WriteOptions {
  readonly dir: string
  readonly writer: TableWriter
  readonly materializedAtMs: number
  readonly onPoint?: ((point: WritePoint) => Promise<void>) | undefined
}

export const stagingFolder = '_staging'

/** `logins.scores-3-`: what the names of a partition's files begin with. */
export function filePrefix(topic: string, partition: number): string {
  return `${topic}-${partition}-`
}

/** The positions in a data file's name, null for the name of another file. */
export function positionsIn(
  name: string,
): Pick<FileEntry, 'topic' | 'partition' | 'firstOffset' | 'lastOffset'> | null {
  const match = /^(.+)-(\d+)-(\d+)-(\d+)\.[0-9a-f]{8}\.parquet$/.exec(name)
  if (match === null) return null
  const [partition, firstOffset, lastOffset] = [Number(match[2]), Number(match[3]), Number(match[4])]
  return { topic: match[1] ?? '', partition, firstOffset, lastOffset }
}

/** Errors: `lake_write_failed` (canRetry). See {@link placeFiles}. */
export async function writeFiles(parts: readonly FilePart[], options: WriteOptions): Promise<readonly FileEntry[]> {
  try {
    return await placeFiles(parts, options)
  } catch (cause) {
    // A bug of ours is no outage of the disk.
    if (isRiverbankError(cause) || cause instanceof TypeError || cause instanceof RangeError) throw cause
    throw new RiverbankError('lake_write_failed', `cannot write to ${options.dir}`, { cause, canRetry: true })
  }
}

/**
 * Writes the parts where readers of the manifest will find them. They are on disk, whole and under their final names
 * when this resolves, and nobody reads them until they are committed. The last part of a name is random: two writers
 * of one range (one of them a zombie) must never replace each other's file. After a rejection, files may be left:
 * they are orphans, see janitor.ts.
 */
async function placeFiles(parts: readonly FilePart[], options: WriteOptions): Promise<readonly FileEntry[]> {
  const staging = join(options.dir, stagingFolder)
  await makeFolder(staging)
  const entries: FileEntry[] = []
  for (const part of parts) entries.push(await stagePart(part, staging, options))
  await options.onPoint?.('staged')
  const folders = new Set(entries.map(({ path }) => dirname(join(options.dir, path))))
  for (const folder of folders) await makeFolder(folder)
  for (const { path } of entries) await rename(join(staging, nameOf(path)), join(options.dir, path))
  for (const folder of folders) await syncFolder(folder)
  await options.onPoint?.('renamed')
  return entries
}

/** Removes files that were written and will not be committed. */
export async function discardFiles(dir: string, entries: readonly Pick<FileEntry, 'path'>[]): Promise<void> {
  for (const { path } of entries) {
    await rm(join(dir, path), { force: true })
    await removeIdList(dir, listName(path))
  }
}

/**
 * Removes files whose commit was refused, but none that a commit names: a commit may stand although its answer was
 * lost.
 */
export async function discardRefused(
  { dir, log }: Pick<Lake, 'dir' | 'log'>,
  entries: readonly Pick<FileEntry, 'path'>[],
): Promise<void> {
  const { files, retired } = await log.refresh()
  await discardFiles(
    dir,
    entries.filter(({ path }) => !files.has(path) && !retired.has(path)),
  )
}

async function stagePart(part: FilePart, staging: string, options: WriteOptions): Promise<FileEntry> {
  const { buffer, topic, partition, firstOffset, lastOffset, date } = part
  const { table, roles, schemaId } = buffer.spec
  const suffix = randomBytes(4).toString('hex')
  const name = `${filePrefix(topic, partition)}${firstOffset}-${lastOffset}.${suffix}.parquet`
  const staged = join(staging, name)
  const columns = buffer.columns(options.materializedAtMs)
  await options.writer.write(staged, columns, buffer.rows)
  const { bytes, sha256 } = await sealFile(staged)
  const { min, max } = buffer.eventTimeRangeMs()
  const path = `${table}/dt=${date}/${name}`
  const ids = idListOfColumns(roles.identity, columns, buffer.rows)
  if (ids !== null) await writeIdList(options.dir, path, ids)
  return {
    path,
    table,
    topic,
    partition,
    firstOffset,
    lastOffset,
    rows: buffer.rows,
    bytes,
    sha256,
    schemaId,
    minEventTimeMs: min,
    maxEventTimeMs: max,
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
