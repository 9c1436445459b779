import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../settings/config.ts'
import type { Definitions } from '../settings/definitions.ts'
import type { ModelReference } from '../../../scoring/rollout/generation.ts'
import { openQuery, type Query } from '../../../edges/duckdb/query.ts'
import { identifier } from '../../../base/sql.ts'
import { openLake } from '../../../lake/commit/lake.ts'
import type { LakeSchema, ScoredColumns } from '../../../lake/tables/lake-schema.ts'
import { sqlCatalog } from '../../../lake/tables/sql-catalog.ts'
import { isOfType } from '../../../lake/tables/scored-sql.ts'

export interface LakeQueryOptions {
  readonly signal?: AbortSignal | undefined
  /** Megabytes of the database; it spills beyond them. */
  readonly memoryMb?: number
}

/** A command may take more than a role: it is a process of its own, and ends. */
const commandMemoryMb = 2_048

/**
 * Runs our own SQL over one version of the lake. Reads only; spills outside of it. An abort of `signal` interrupts the
 * running query, which throws `query_failed`.
 */
export async function withLakeQuery<Result>(
  config: Pick<Config, 'DATA_DIR'>,
  { lakeSchema }: Pick<Definitions, 'lakeSchema'>,
  work: (query: Query) => Promise<Result>,
  { signal, memoryMb = commandMemoryMb }: LakeQueryOptions = {},
): Promise<Result> {
  const { setup } = await sqlCatalog(await openLake({ dir: join(config.DATA_DIR, 'lake') }), lakeSchema)
  const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-query-'))
  try {
    const query = await openQuery({ threads: 2, memoryMb, tempDir, tempMb: 16_384, setup })
    const interrupt = () => {
      query.interrupt()
    }
    try {
      if (signal?.aborted === true) interrupt()
      signal?.addEventListener('abort', interrupt)
      return await work(query)
    } finally {
      signal?.removeEventListener('abort', interrupt)
      query.close()
    }
  } finally {
    await rm(tempDir, { recursive: true, force: true })
  }
}

/**
 * The model that scored the newest events of a type, null while there are none. registry.json only names the model with
 * which an installation begins.
 */
export async function scoringModel(
  query: Query,
  schema: Pick<LakeSchema, 'scored'>,
  scored: ScoredColumns,
): Promise<ModelReference | null> {
  const [row] =
    await query.rows(`SELECT arg_max({'name': model_name, 'version': model_version}, append_time_ms).name AS name,
      arg_max({'name': model_name, 'version': model_version}, append_time_ms).version AS version
    FROM scores WHERE ${isOfType(schema, scored)}`)
  const [name, version] = [row?.['name'] ?? null, row?.['version'] ?? null]
  return name === null || version === null ? null : { name: String(name), version: String(version) }
}

/** The times of the lake's first and last scored event of a type, milliseconds; null while there are none. */
export async function scoredSpan(
  query: Query,
  schema: Pick<LakeSchema, 'scored'>,
  scored: ScoredColumns,
): Promise<{ readonly firstMs: number; readonly lastMs: number } | null> {
  const timeMs = identifier(scored.timeMs)
  const [row] = await query.rows(
    `SELECT min(${timeMs}) AS first, max(${timeMs}) AS last FROM scores WHERE ${isOfType(schema, scored)}`,
  )
  if (row?.['first'] === null || row?.['first'] === undefined) return null
  return { firstMs: Number(row['first']), lastMs: Number(row['last']) }
}
