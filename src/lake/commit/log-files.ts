import { identityName } from './identity.ts'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { RiverbankError } from '../../base/errors.ts'
import { hourMs } from '../../base/units.ts'
import { checkpointSchema, commitSchema, digestOf, headSchema } from './commit.ts'
import type { Checkpoint, Commit, Head } from './commit.ts'
import { exchangeFile, isErrno, replaceFile } from './durable.ts'

/** The files of `_log`: their names, and how each is read and written. */

export const logFolder = '_log'
export const headName = 'head.json'

export function commitName(version: number): string {
  return `${String(version).padStart(20, '0')}.json`
}

export function checkpointName(version: number): string {
  return `${String(version).padStart(20, '0')}.checkpoint.json`
}

export interface LogListing {
  /** Versions, ascending. */
  readonly commits: readonly number[]
  readonly checkpoints: readonly number[]
  /** Names that no writer of this lake uses. */
  readonly others: readonly string[]
}

export async function listLog(folder: string): Promise<LogListing> {
  const commits: number[] = []
  const checkpoints: number[] = []
  const others: string[] = []
  for (const name of await readdir(folder)) {
    const match = /^(\d{20})\.(checkpoint\.)?json$/.exec(name)
    // No writer counts beyond safe integers: another program wrote such a name.
    if (match !== null && Number.isSafeInteger(Number(match[1])))
      (match[2] === undefined ? commits : checkpoints).push(Number(match[1]))
    else if (name !== headName && name !== identityName && !isLeftover(name)) others.push(name)
  }
  const ascending = (a: number, b: number) => a - b
  return { commits: commits.sort(ascending), checkpoints: checkpoints.sort(ascending), others }
}

/** A commit and the checksum of its file, by which the next one names it. */
export interface ReadCommit {
  readonly commit: Commit
  readonly digest: string
}

/** Null when there is none. Errors: `lake_corrupt`. */
export async function readCommit(folder: string, version: number): Promise<ReadCommit | null> {
  const text = await readText(folder, commitName(version))
  if (text === null) return null
  const commit = parse(folder, commitName(version), text, commitSchema)
  if (commit.version !== version) throw corrupt(folder, commitName(version), `says it is version ${commit.version}`)
  return { commit, digest: digestOf(text) }
}

/** Null when it is gone. Errors: `lake_corrupt`. */
export async function readCheckpoint(folder: string, version: number): Promise<Checkpoint | null> {
  const name = checkpointName(version)
  const text = await readText(folder, name)
  if (text === null) return null
  const checkpoint = parse(folder, name, text, checkpointSchema)
  if (checkpoint.format === 2 && !isSealed(text))
    throw corrupt(folder, name, 'does not have the checksum that it names')
  if (checkpoint.version !== version) throw corrupt(folder, name, `says it is version ${checkpoint.version}`)
  return checkpoint
}

export function writeCheckpoint(folder: string, checkpoint: Checkpoint): Promise<void> {
  return replaceFile(folder, checkpointName(checkpoint.version), sealed(checkpoint))
}

/** Null when there is none. Errors: `lake_corrupt`. */
export async function readHead(folder: string): Promise<Head | null> {
  const text = await readText(folder, headName)
  if (text === null) return null
  const head = parse(folder, headName, text, headSchema)
  if (!isSealed(text)) throw corrupt(folder, headName, 'does not have the checksum that it names')
  return head
}

/** After a crash the head may be older: it names a version that is there at least. */
export function writeHead(folder: string, { version, digest }: Pick<Head, 'version' | 'digest'>): Promise<void> {
  return exchangeFile(folder, headName, sealed({ format: 1, version, digest } satisfies Head))
}

export function corrupt(folder: string, name: string, why: string, cause?: unknown): RiverbankError {
  const options = cause === undefined ? {} : { cause }
  return new RiverbankError('lake_corrupt', `${join(folder, name)} ${why}: see riverbank lake check`, options)
}

/** The file carries the checksum of the rest: nothing else would notice a changed digit. */
function sealed(body: object): string {
  return JSON.stringify({ ...body, checksum: digestOf(JSON.stringify(body)) })
}

function isSealed(text: string): boolean {
  const json: unknown = JSON.parse(text)
  if (typeof json !== 'object' || json === null || !('checksum' in json)) return false
  const { checksum, ...body } = json
  return checksum === digestOf(JSON.stringify(body))
}

async function readText(folder: string, name: string): Promise<string | null> {
  try {
    return await readFile(join(folder, name), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

function parse<Schema extends z.ZodType>(folder: string, name: string, text: string, schema: Schema): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw corrupt(folder, name, 'is not what a writer of this lake writes', cause)
  }
}

/** Versions younger than this are never trimmed. */
export const trimAgeMs: number = hourMs

/** Deletes versions so far below the newest checkpoint, and the leftovers of crashes; answers how many files. */
export async function trimFolder(folder: string, keptVersions: number, nowMs: number): Promise<number> {
  const newest = (await listLog(folder)).checkpoints.at(-1)
  if (newest === undefined) return 0
  let deleted = 0
  for (const name of await readdir(folder)) {
    const version = /^(\d{20})\.(checkpoint\.)?json$/.exec(name)?.[1]
    if (!isLeftover(name) && (version === undefined || Number(version) > newest - keptVersions)) continue
    const path = join(folder, name)
    const age = await ageMs(path, nowMs)
    if (age === null || age < trimAgeMs) continue
    await rm(path, { force: true })
    deleted += 1
  }
  return deleted
}

function isLeftover(name: string): boolean {
  return /^\..*\.tmp$/.test(name)
}

/** Null when it is gone. */
export async function ageMs(path: string, nowMs: number): Promise<number | null> {
  try {
    return nowMs - (await stat(path)).mtimeMs
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}
