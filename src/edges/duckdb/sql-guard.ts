import { RiverbankError } from '../../base/errors.ts'
import { isRecord } from '../../base/record.ts'

/** The names that an unvetted statement may use. */
export interface SqlAllowance {
  readonly relations: ReadonlySet<string>
  readonly tableFunctions: ReadonlySet<string>
  readonly functions: ReadonlySet<string>
}

type Node = Readonly<Record<string, unknown>>

/** Table functions that read nothing but their arguments. */
export const harmlessTableFunctions = ['unnest', 'range', 'generate_series', 'json_each', 'json_tree'] as const

/** The kinds of nodes in a tree that are no expressions. The guard refuses others: it does not trust new syntax. */
const knownTypes = new Set([
  ...['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE', 'CTE_NODE'],
  ...[
    'BASE_TABLE',
    'TABLE_FUNCTION',
    'SUBQUERY',
    'JOIN',
    'EXPRESSION_LIST',
    'EMPTY',
    'EMPTY_FROM',
    'SHOW_REF',
    'PIVOT',
  ],
  ...['ORDER_MODIFIER', 'LIMIT_MODIFIER', 'LIMIT_PERCENT_MODIFIER', 'DISTINCT_MODIFIER'],
  ...['ORDER_DEFAULT', 'ASCENDING', 'DESCENDING'],
])

const knownClasses = new Set([
  ...['BETWEEN', 'CASE', 'CAST', 'COLLATE', 'COLUMN_REF', 'COMPARISON', 'CONJUNCTION', 'CONSTANT', 'FUNCTION'],
  ...['LAMBDA', 'LAMBDA_REF', 'OPERATOR', 'POSITIONAL_REFERENCE', 'STAR', 'SUBQUERY', 'WINDOW', 'TYPE'],
])

const windowFunctions = new Set([
  ...['row_number', 'rank', 'dense_rank', 'rank_dense', 'percent_rank', 'cume_dist', 'ntile', 'lag', 'lead'],
  ...['first_value', 'last_value', 'nth_value', 'fill'],
])

const plainName = /^[a-z_][a-z0-9_]*$/i
/** Prefixes of DuckDB's own relations: no common table expression may hide one. */
const builtIn = /^(duckdb_|pragma_|sqlite_|pg_|information_schema)/i

/**
 * Throws `sql_forbidden` unless the serialized statement reads only what `allowance` names. `tree` is the answer of
 * json_serialize_sql for exactly one statement. Visits every object of it; each must be of a kind known here.
 */
export function checkTree(tree: unknown, allowance: SqlAllowance): void {
  const commonTables = new Set<string>()
  visit(tree, (node) => collectCommonTables(node, commonTables))
  // A table function's call is a FUNCTION node too, and always comes after the node that contains it.
  const tableCalls = new Set<Node>()
  visit(tree, (node) => checkNode(node, allowance, commonTables, tableCalls))
}

function visit(value: unknown, see: (node: Node) => void): void {
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (isRecord(next)) see(next)
    const inside: readonly unknown[] = Array.isArray(next) ? next : isRecord(next) ? Object.values(next) : []
    for (const inner of inside) if (typeof inner === 'object') open.push(inner)
  }
}

function collectCommonTables(node: Node, found: Set<string>): void {
  const { map } = node
  if (!Array.isArray(map)) return
  for (const entry of map) {
    const key: unknown = isRecord(entry) ? entry['key'] : undefined
    if (typeof key !== 'string' || !plainName.test(key) || builtIn.test(key)) {
      forbidden(`"${String(key)}" is no name for a common table expression here`)
    }
    found.add(key.toLowerCase())
  }
}

function checkNode(
  node: Node,
  allowance: SqlAllowance,
  commonTables: ReadonlySet<string>,
  tableCalls: Set<Node>,
): void {
  const kind = node['class']
  const { type } = node
  if (typeof kind === 'string') {
    if (!knownClasses.has(kind)) forbidden(`expressions of class ${kind} are not allowed`)
    if (kind === 'FUNCTION' && !tableCalls.has(node)) checkFunction(node, [allowance.functions], 'function')
    if (kind === 'WINDOW') checkFunction(node, [allowance.functions, windowFunctions], 'window function')
    return
  }
  if (typeof type !== 'string') return
  if (!knownTypes.has(type) && !isTypeInfo(node)) forbidden(`syntax of kind ${type} is not allowed`)
  if (type === 'BASE_TABLE') checkTable(node, allowance.relations, commonTables)
  if (type === 'TABLE_FUNCTION') {
    const call = node['function']
    if (!isRecord(call) || call['class'] !== 'FUNCTION') return forbidden('this table function is not allowed')
    checkFunction(call, [allowance.tableFunctions], 'table function')
    tableCalls.add(call)
  }
  if (type === 'SHOW_REF') checkShow(node)
}

/** Details of a data type, such as the width of a decimal. */
function isTypeInfo(node: Node): boolean {
  return typeof node['type'] === 'string' && node['type'].endsWith('_TYPE_INFO')
}

function checkFunction(node: Node, allowed: readonly ReadonlySet<string>[], what: string): void {
  const { schema, catalog, function_name: called } = node
  // The parser writes `main` itself, for the functions behind literals such as {'a': 1}.
  if ((schema !== '' && schema !== 'main') || (catalog !== '' && catalog !== 'system')) {
    forbidden(`name the ${what} without a schema`)
  }
  const lower = typeof called === 'string' ? called.toLowerCase() : ''
  if (!allowed.some((names) => names.has(lower))) forbidden(`the ${what} "${String(called)}" is not allowed`)
}

function checkTable(node: Node, relations: ReadonlySet<string>, commonTables: ReadonlySet<string>): void {
  const table = node['table_name']
  if (node['schema_name'] !== '' || node['catalog_name'] !== '') forbidden('name the relation without a schema')
  if (node['at_clause'] !== null && node['at_clause'] !== undefined) forbidden('AT is not allowed')
  const lower = typeof table === 'string' ? table.toLowerCase() : ''
  if (!relations.has(lower) && !commonTables.has(lower)) {
    forbidden(`there is no relation "${String(table)}"; known are ${[...relations].toSorted().join(', ')}`)
  }
}

/** DESCRIBE and SUMMARIZE of a query, and SHOW TABLES. */
function checkShow(node: Node): void {
  const { query, table_name: table, show_type: show } = node
  if ((show === 'DESCRIBE' || show === 'SUMMARY') && query !== null && typeof query === 'object') return
  if (show === 'SHOW_UNQUALIFIED' && query === null && table === '"tables"') return
  forbidden('this SHOW is not allowed; use DESCRIBE <relation>, SUMMARIZE <relation> or SHOW TABLES')
}

function forbidden(reason: string): never {
  throw new RiverbankError('sql_forbidden', reason)
}
