import { createHash } from 'node:crypto'
import { z } from 'zod'
import { tableNames } from '../tables/table.ts'

/**
 * The manifest's files, as they are on disk; paths are relative to the lake's folder. Format 2 carries the chain: each
 * commit names the checksum of the one before it. A program that knows format 1 alone takes a missing version for the
 * end of the lake, so it must not read or write here; this one still reads format 1.
 */

const relativePath = z.string().regex(/^[a-z]+\/dt=\d{4}-\d{2}-\d{2}\/[\w.-]+\.parquet$/)
const offset = z.number().int().nonnegative()
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

const columnSchema = z.object({
  name: z.string().min(1),
  type: z.enum(['BOOLEAN', 'BIGINT', 'DOUBLE', 'VARCHAR', 'BLOB', 'TIMESTAMP']),
})

const tableSchemaSchema = z.object({ id: z.string(), table: z.enum(tableNames), columns: z.array(columnSchema) })

const fileEntrySchema = z.object({
  path: relativePath,
  table: z.enum(tableNames),
  topic: z.string(),
  partition: z.number().int().nonnegative(),
  /** Of the first and the last row; offsets between them may be in no row of this table. */
  firstOffset: offset,
  lastOffset: offset,
  rows: z.number().int().positive(),
  bytes: z.number().int().positive(),
  sha256,
  schemaId: z.string(),
  minEventTimeMs: z.number().int().nullable(),
  maxEventTimeMs: z.number().int().nullable(),
})

/** `from` is what was covered before (null: nothing); a commit whose `from` is wrong is refused. */
const coverSchema = z.object({
  topic: z.string(),
  partition: z.number().int().nonnegative(),
  from: offset.nullable(),
  next: offset,
})

const ownerSchema = z.object({ topic: z.string(), partition: z.number().int().nonnegative(), owner: z.string().min(1) })

/** Positions that the lake covers and does not hold any more; `table` null: of all tables that the topic feeds. */
const lostSchema = z.object({
  table: z.enum(tableNames).nullable(),
  topic: z.string(),
  partition: z.number().int().nonnegative(),
  firstOffset: offset,
  lastOffset: offset,
  /** Null where it is unknown how many of these offsets held a row. */
  rows: z.number().int().nonnegative().nullable(),
})

export const commitSchema = z.object({
  format: z.union([z.literal(1), z.literal(2)]),
  version: z.number().int().positive(),
  /** Format 2: sha256 of the file of the version before, null for the first. */
  previous: sha256.nullable().optional(),
  committedAtMs: z.number().int(),
  /** The owners of partitions from here on: the lake refuses commits of their former owners. */
  owners: z.array(ownerSchema),
  schemas: z.array(tableSchemaSchema),
  added: z.array(fileEntrySchema),
  /** No longer read; deleted from disk after a grace period, because a reader may still have them open. */
  removed: z.array(relativePath),
  /** Removed files that are gone from disk. */
  purged: z.array(relativePath),
  covered: z.array(coverSchema),
  /** Declared lost by an operator, and found again. */
  lost: z.array(lostSchema).optional(),
  found: z.array(lostSchema).optional(),
})

export const checkpointSchema = z.object({
  format: z.union([z.literal(1), z.literal(2)]),
  version: z.number().int().positive(),
  /** Format 2: sha256 of the commit of this version, null where it was written before commits were chained. */
  digest: sha256.nullable().optional(),
  owners: z.array(ownerSchema),
  schemas: z.array(tableSchemaSchema),
  files: z.array(fileEntrySchema),
  retired: z.array(z.object({ path: relativePath, removedAtMs: z.number().int() })),
  covered: z.array(z.object({ topic: z.string(), partition: z.number().int().nonnegative(), next: offset })),
  lost: z.array(lostSchema).optional(),
})

/** The newest finished version, beside the commits: with it a reader notices that the last ones are missing. */
export const headSchema = z.object({
  format: z.literal(1),
  version: z.number().int().nonnegative(),
  digest: sha256.nullable(),
})

export type FileEntry = z.infer<typeof fileEntrySchema>
export type TableSchema = z.infer<typeof tableSchemaSchema>
export type Cover = z.infer<typeof coverSchema>
export type Owner = z.infer<typeof ownerSchema>
export type LostRange = z.infer<typeof lostSchema>
export type Head = z.infer<typeof headSchema>
export type Commit = z.infer<typeof commitSchema>
export type Checkpoint = z.infer<typeof checkpointSchema>

/** The content of a commit before it is accepted. `owner` fences: it must own every partition in `covered`. */
export interface Proposal {
  readonly owner?: string
  readonly owners?: readonly Owner[]
  readonly schemas?: readonly TableSchema[]
  readonly added?: readonly FileEntry[]
  readonly removed?: readonly string[]
  readonly purged?: readonly string[]
  readonly covered?: readonly Cover[]
  readonly lost?: readonly LostRange[]
  readonly found?: readonly LostRange[]
}

/** The lake at one version. Only {@link applyCommit} changes it. */
export interface LakeState {
  version: number
  /** sha256 of the version's commit; null when nothing is committed, or after an old program's checkpoint. */
  digest: string | null
  /** True from the first commit of format 2 on: whatever follows must be one. */
  isChained: boolean
  readonly files: Map<string, FileEntry>
  /** Oldest first: the newest schema of a table decides its columns. */
  readonly schemas: Map<string, TableSchema>
  readonly retired: Map<string, number>
  /** By {@link partitionKey}: the next offset that no file covers. */
  readonly covered: Map<string, number>
  readonly owners: Map<string, string>
  /** By {@link lostKey}. */
  readonly lost: Map<string, LostRange>
}

export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

export function emptyState(): LakeState {
  return {
    version: 0,
    digest: null,
    isChained: false,
    files: new Map(),
    schemas: new Map(),
    retired: new Map(),
    covered: new Map(),
    owners: new Map(),
    lost: new Map(),
  }
}

export type Refusal =
  | { readonly kind: 'not_owner'; readonly topic: string; readonly partition: number }
  | { readonly kind: 'covered'; readonly topic: string; readonly partition: number; readonly covered: number | null }
  | { readonly kind: 'file_gone'; readonly path: string }
  | { readonly kind: 'not_lost' | 'lost_already'; readonly range: LostRange }

/** Why a proposal cannot follow this state, or null. The whole of the lake's concurrency control. */
export function refusalOf(state: LakeState, proposal: Proposal): Refusal | null {
  for (const { topic, partition, from } of proposal.covered ?? []) {
    const key = partitionKey(topic, partition)
    if (state.owners.get(key) !== proposal.owner) return { kind: 'not_owner', topic, partition }
    const covered = state.covered.get(key) ?? null
    if (covered !== from) return { kind: 'covered', topic, partition, covered }
  }
  for (const path of proposal.removed ?? []) if (!state.files.has(path)) return { kind: 'file_gone', path }
  return lossRefusal(state, proposal)
}

/**
 * Positions are lost once and found once: of two repairs that reread the same ones, the second must not commit them.
 */
function lossRefusal(
  state: LakeState,
  { lost, found }: { [key in 'lost' | 'found']?: readonly LostRange[] | undefined },
) {
  const stranger = (found ?? []).find((range) => !state.lost.has(lostKey(range)))
  if (stranger !== undefined) return { kind: 'not_lost', range: stranger } as const
  const known = (lost ?? []).find((range) => state.lost.has(lostKey(range)))
  return known === undefined ? null : ({ kind: 'lost_already', range: known } as const)
}

/**
 * Why a commit that was read cannot follow this state, or null: it follows another commit, lacks the chain, or changes
 * what is not there.
 */
export function faultOf(state: LakeState, commit: Commit): string | null {
  if (commit.version !== state.version + 1) return `says it is version ${commit.version}`
  if (commit.format === 1 && state.isChained) return 'names no commit before it, and the one before it does'
  if (commit.format === 2) {
    // Above an old program's checkpoint the commit before is unknown; a lake's first commit follows nothing.
    const isKnown = state.digest !== null || state.version === 0
    if (isKnown && (commit.previous ?? null) !== state.digest)
      return `does not follow version ${state.version} as it is here`
  }
  for (const { topic, partition, from } of commit.covered) {
    const covered = state.covered.get(partitionKey(topic, partition)) ?? null
    if (covered !== from) return `goes on at ${from} in ${topic}/${partition}, where ${covered} is the truth`
  }
  const gone = commit.removed.find((path) => !state.files.has(path))
  if (gone !== undefined) return `removes ${gone}, which is not there`
  const loss = lossRefusal(state, commit)
  if (loss === null) return null
  const range = lostKey(loss.range)
  return loss.kind === 'not_lost' ? `finds ${range}, which is not lost` : `loses ${range}, which is lost already`
}

/** `digest`: of the commit's own file. */
export function applyCommit(state: LakeState, commit: Commit, digest: string): void {
  for (const { topic, partition, owner } of commit.owners) state.owners.set(partitionKey(topic, partition), owner)
  for (const schema of commit.schemas) state.schemas.set(schemaKey(schema), schema)
  for (const file of commit.added) state.files.set(file.path, file)
  for (const path of commit.removed) {
    state.files.delete(path)
    state.retired.set(path, commit.committedAtMs)
  }
  for (const path of commit.purged) state.retired.delete(path)
  for (const { topic, partition, next } of commit.covered) state.covered.set(partitionKey(topic, partition), next)
  for (const range of commit.lost ?? []) state.lost.set(lostKey(range), range)
  for (const range of commit.found ?? []) state.lost.delete(lostKey(range))
  state.version = commit.version
  state.digest = digest
  state.isChained = commit.format === 2
}

export function lostKey({ table, topic, partition, firstOffset, lastOffset }: LostRange): string {
  return `${table ?? '*'} ${topic}/${partition} ${firstOffset}-${lastOffset}`
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function schemaKey({ table, id }: Pick<TableSchema, 'table' | 'id'>): string {
  return `${table}/${id}`
}

export function checkpointOf(state: LakeState): Checkpoint {
  return {
    format: 2,
    version: state.version,
    digest: state.digest,
    owners: [...state.owners].map(([key, owner]) => ({ ...splitKey(key), owner })),
    schemas: [...state.schemas.values()],
    files: [...state.files.values()],
    retired: [...state.retired].map(([path, removedAtMs]) => ({ path, removedAtMs })),
    covered: [...state.covered].map(([key, next]) => ({ ...splitKey(key), next })),
    lost: [...state.lost.values()],
  }
}

export function stateOf(checkpoint: Checkpoint): LakeState {
  return {
    version: checkpoint.version,
    digest: checkpoint.digest ?? null,
    isChained: checkpoint.format === 2,
    files: new Map(checkpoint.files.map((file) => [file.path, file])),
    schemas: new Map(checkpoint.schemas.map((schema) => [schemaKey(schema), schema])),
    retired: new Map(checkpoint.retired.map(({ path, removedAtMs }) => [path, removedAtMs])),
    covered: new Map(checkpoint.covered.map((c) => [partitionKey(c.topic, c.partition), c.next])),
    owners: new Map(checkpoint.owners.map((o) => [partitionKey(o.topic, o.partition), o.owner])),
    lost: new Map((checkpoint.lost ?? []).map((range) => [lostKey(range), range])),
  }
}

export function splitKey(key: string): { topic: string; partition: number } {
  const slash = key.lastIndexOf('/')
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) }
}
