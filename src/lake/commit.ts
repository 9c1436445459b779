import { z } from 'zod'
import { tableNames } from './table.ts'

/** The manifest's files, as they are on disk. Format 1; paths are relative to the lake's folder. */

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

/** `from` is what was covered before (null: nothing); a commit whose `from` is not the truth is no commit. */
const coverSchema = z.object({
  topic: z.string(),
  partition: z.number().int().nonnegative(),
  from: offset.nullable(),
  next: offset,
})

const ownerSchema = z.object({ topic: z.string(), partition: z.number().int().nonnegative(), owner: z.string().min(1) })

export const commitSchema = z.object({
  format: z.literal(1),
  version: z.number().int().positive(),
  committedAtMs: z.number().int(),
  /** Who writes a partition from here on: the commits of its former owners are refused. */
  owners: z.array(ownerSchema),
  schemas: z.array(tableSchemaSchema),
  added: z.array(fileEntrySchema),
  /** No longer read; deleted from disk after a grace period, because a reader may still have them open. */
  removed: z.array(relativePath),
  /** Removed files that are gone from disk. */
  purged: z.array(relativePath),
  covered: z.array(coverSchema),
})

export const checkpointSchema = z.object({
  format: z.literal(1),
  version: z.number().int().positive(),
  owners: z.array(ownerSchema),
  schemas: z.array(tableSchemaSchema),
  files: z.array(fileEntrySchema),
  retired: z.array(z.object({ path: relativePath, removedAtMs: z.number().int() })),
  covered: z.array(z.object({ topic: z.string(), partition: z.number().int().nonnegative(), next: offset })),
})

export type FileEntry = z.infer<typeof fileEntrySchema>
export type TableSchema = z.infer<typeof tableSchemaSchema>
export type Cover = z.infer<typeof coverSchema>
export type Owner = z.infer<typeof ownerSchema>
export type Commit = z.infer<typeof commitSchema>
export type Checkpoint = z.infer<typeof checkpointSchema>

/** What a writer wants to become true. `owner` fences: it must own every partition in `covered`. */
export interface Proposal {
  readonly owner?: string
  readonly owners?: readonly Owner[]
  readonly schemas?: readonly TableSchema[]
  readonly added?: readonly FileEntry[]
  readonly removed?: readonly string[]
  readonly purged?: readonly string[]
  readonly covered?: readonly Cover[]
}

/** The lake at one version. Only {@link applyCommit} changes it. */
export interface LakeState {
  version: number
  readonly files: Map<string, FileEntry>
  /** Oldest first: the newest schema of a table decides its columns. */
  readonly schemas: Map<string, TableSchema>
  readonly retired: Map<string, number>
  /** By {@link partitionKey}: the next offset that no file covers. */
  readonly covered: Map<string, number>
  readonly owners: Map<string, string>
}

export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

export function emptyState(): LakeState {
  return {
    version: 0,
    files: new Map(),
    schemas: new Map(),
    retired: new Map(),
    covered: new Map(),
    owners: new Map(),
  }
}

export type Refusal =
  | { readonly kind: 'not_owner'; readonly topic: string; readonly partition: number }
  | { readonly kind: 'covered'; readonly topic: string; readonly partition: number; readonly covered: number | null }
  | { readonly kind: 'file_gone'; readonly path: string }

/** Why a proposal cannot follow this state, or null. The whole of the lake's concurrency control. */
export function refusalOf(state: LakeState, proposal: Proposal): Refusal | null {
  for (const { topic, partition, from } of proposal.covered ?? []) {
    const key = partitionKey(topic, partition)
    if (state.owners.get(key) !== proposal.owner) return { kind: 'not_owner', topic, partition }
    const covered = state.covered.get(key) ?? null
    if (covered !== from) return { kind: 'covered', topic, partition, covered }
  }
  for (const path of proposal.removed ?? []) if (!state.files.has(path)) return { kind: 'file_gone', path }
  return null
}

export function applyCommit(state: LakeState, commit: Commit): void {
  for (const { topic, partition, owner } of commit.owners) state.owners.set(partitionKey(topic, partition), owner)
  for (const schema of commit.schemas) state.schemas.set(schemaKey(schema), schema)
  for (const file of commit.added) state.files.set(file.path, file)
  for (const path of commit.removed) {
    state.files.delete(path)
    state.retired.set(path, commit.committedAtMs)
  }
  for (const path of commit.purged) state.retired.delete(path)
  for (const { topic, partition, next } of commit.covered) state.covered.set(partitionKey(topic, partition), next)
  state.version = commit.version
}

export function schemaKey({ table, id }: Pick<TableSchema, 'table' | 'id'>): string {
  return `${table}/${id}`
}

export function checkpointOf(state: LakeState): Checkpoint {
  return {
    format: 1,
    version: state.version,
    owners: [...state.owners].map(([key, owner]) => ({ ...splitKey(key), owner })),
    schemas: [...state.schemas.values()],
    files: [...state.files.values()],
    retired: [...state.retired].map(([path, removedAtMs]) => ({ path, removedAtMs })),
    covered: [...state.covered].map(([key, next]) => ({ ...splitKey(key), next })),
  }
}

export function stateOf(checkpoint: Checkpoint): LakeState {
  return {
    version: checkpoint.version,
    files: new Map(checkpoint.files.map((file) => [file.path, file])),
    schemas: new Map(checkpoint.schemas.map((schema) => [schemaKey(schema), schema])),
    retired: new Map(checkpoint.retired.map(({ path, removedAtMs }) => [path, removedAtMs])),
    covered: new Map(checkpoint.covered.map((c) => [partitionKey(c.topic, c.partition), c.next])),
    owners: new Map(checkpoint.owners.map((o) => [partitionKey(o.topic, o.partition), o.owner])),
  }
}

function splitKey(key: string): { topic: string; partition: number } {
  const slash = key.lastIndexOf('/')
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) }
}
