/** A string literal of DuckDB's SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A quoted identifier of DuckDB's SQL. */
export function name(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
