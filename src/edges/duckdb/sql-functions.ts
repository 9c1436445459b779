import type { DuckDBConnection } from '@duckdb/node-api'

/** Scalars that read settings, plan or run SQL of their own, or show data from outside of the lake. */
const refused = new Set([
  ...['current_setting', 'getvariable', 'getenv', 'json_serialize_plan', 'json_serialize_sql', 'json_deserialize_sql'],
  ...['current_query', 'get_block_size', 'parse_duckdb_log_message', 'vector_type', 'stats', 'txid_current'],
])
const refusedPrefixes = /^(pg_|has_|inet_|__internal|st_|current_query|write_|duckdb_)/

/** Functions that DuckDB calls volatile but that only compute. */
const harmlessVolatile = new Set(['random', 'uuid', 'uuidv4', 'uuidv7', 'gen_random_uuid', 'error'])

/**
 * Lower-case names of the functions that unvetted SQL may call: those of the installed version, without volatile ones
 * (sequences, sleeping, logging) and those refused by name. A function that a later version adds is allowed only if it
 * declares that it does nothing but compute.
 */
export async function allowedFunctions(connection: DuckDBConnection): Promise<ReadonlySet<string>> {
  const reader = await connection.runAndReadAll(
    `SELECT lower(function_name), bool_or(coalesce(stability = 'VOLATILE' OR has_side_effects, false))
     FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') GROUP BY ALL`,
  )
  // In the SELECT list `unnest` is syntax, and no function of the catalog.
  const allowed = new Set<string>(['unnest'])
  for (const [found, isVolatile] of reader.getRows()) {
    const name = String(found)
    if (refused.has(name) || refusedPrefixes.test(name)) continue
    if (isVolatile === true && !harmlessVolatile.has(name)) continue
    allowed.add(name)
  }
  return allowed
}
