import { identifier } from '../../../src/base/sql.ts'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { referenceExpression } from '../../../src/compile/reference/expression.ts'
import { derivedSql } from '../../../src/compile/sql/expression.ts'
import { compileExpression, type BinaryOperation, type Expression } from '../../../src/engine/expression.ts'
import { aggregateMagnitude } from '../../../src/define/magnitude.ts'
import { defineDerived } from '../../../src/define/feature-set.ts'
import { openQuery, type Query } from '../../../src/edges/duckdb/query.ts'
import { testSeed as seed } from '../../support/seed.ts'

type Value = number | null

const binary: readonly BinaryOperation[] = [
  ...(['add', 'subtract', 'multiply', 'ratio', 'modulo', 'less', 'less_or_equal', 'equal'] as const),
]
const operations = [...binary, 'floor', 'square_root', 'coalesce'] as const
type Operation = (typeof operations)[number]
/**
 * Zeros of both signs, both ends of the finite numbers, and what is missing or, from a foreign row, no finite number.
 */
const edges: readonly Value[] = [
  ...[null, 0, -0, 1, -1, 3, -0.5, 0.1, 2 ** 53, 5e-324, -5e-324, 1e308, -1e308, Number.MAX_VALUE],
  ...[NaN, Infinity, -Infinity],
]
const a: Expression = { op: 'feature', name: 'a' }
const b: Expression = { op: 'feature', name: 'b' }
const c: Expression = { op: 'feature', name: 'c' }
const request: Readonly<Record<string, number>> = { amountMinor: 1_250, timeMs: 0 }

function operation(op: Operation, left: Expression, right: Expression): Expression {
  if (op === 'floor' || op === 'square_root') return { op, value: left }
  return op === 'coalesce' ? { op, values: [left, right] } : { op, left, right }
}

const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-expressions-'))
let query: Query
beforeAll(async () => {
  query = await openQuery({ threads: 1, memoryMb: 1_024, tempDir, tempMb: 1_024, setup: [] })
})
afterAll(() => {
  query.close()
  rmSync(tempDir, { recursive: true, force: true })
})

const doubleSql = (value: Value) =>
  value === null ? 'NULL::DOUBLE' : `'${Object.is(value, -0) ? '-0' : String(value)}'::DOUBLE`

/** What DuckDB answers: by row, by tree. */
async function inDuckDb(trees: readonly Expression[], rows: readonly (readonly Value[])[]): Promise<Value[][]> {
  const names = ['a', 'b', 'c'].slice(0, rows[0]?.length)
  const values = rows.map((row, i) => `(${[i, ...row.map(doubleSql)].join(', ')})`)
  const derived = trees.map((tree, i) =>
    defineDerived(`tree_${i}`, 'a tree', { tree, nullable: true, magnitude: aggregateMagnitude }),
  )
  const sql = derivedSql(
    { derived },
    { feature: identifier, request: (field) => doubleSql(request[field] ?? null) },
    { select: '*', from: `(VALUES ${values.join(', ')}) v(row, ${names.join(', ')})` },
  )
  const answers: Value[][] = []
  for (const found of await query.rows(sql)) {
    answers[Number(found['row'])] = trees.map((_, i) => found[`derived tree_${i}`] as Value)
  }
  return answers
}

async function expectAgreement(trees: readonly Expression[], rows: readonly (readonly Value[])[]): Promise<void> {
  const evaluates = trees.map((tree) => compileExpression(tree, (name) => ['a', 'b', 'c'].indexOf(name)))
  const answers = await inDuckDb(trees, rows)
  expect(answers).toHaveLength(rows.length)
  for (const [i, row] of rows.entries()) {
    const [one = null, other = null, third = null] = row
    for (const [t, tree] of trees.entries()) {
      const engine = evaluates[t]?.(row, request)
      const reference = referenceExpression(tree, { a: one, b: other, c: third }, request)
      const sql = answers[i]?.[t]
      if (Object.is(engine, reference) && Object.is(engine, sql) && (engine === null || Number.isFinite(engine)))
        continue
      expect.fail(`${JSON.stringify(tree)} of ${row.join(', ')}: engine ${engine}, reference ${reference}, SQL ${sql}`)
    }
  }
}

const pairs = edges.flatMap((one) => edges.map((other) => [one, other]))

describe('I3: the engine, the reference and DuckDB answer the same finite number or nothing', () => {
  it('for each operation of every pair of edges, as columns', async () => {
    await expectAgreement(
      operations.map((op) => operation(op, a, b)),
      pairs,
    )
  })

  it('for each operation of every pair of edges, as constants that DuckDB may fold, and mixed', async () => {
    const constants = edges.flatMap((value) => (value === null ? [] : [{ op: 'constant' as const, value }]))
    const trees = operations.flatMap((op) =>
      constants.flatMap((constant) => [
        operation(op, a, constant),
        operation(op, constant, a),
        ...constants.flatMap((other) => [
          operation(op, constant, other),
          operation('subtract', operation(op, constant, other), a),
        ]),
      ]),
    )
    for (let at = 0; at < trees.length; at += 500) {
      await expectAgreement(
        trees.slice(at, at + 500),
        edges.map((value) => [value]),
      )
    }
  })

  it('for each operation inside every operand of every other', async () => {
    const nested = operations.flatMap((outer) =>
      operations.flatMap((inner) => [
        operation(outer, operation(inner, a, b), c),
        operation(outer, c, operation(inner, a, b)),
      ]),
    )
    const third: readonly Value[] = [null, 0, -0, -1, 0.1, 5e-324, 1e308, -1e308]
    await expectAgreement(
      nested,
      pairs.flatMap((pair) => third.map((value) => [...pair, value])),
    )
  })

  it('for random trees over random numbers and edges', async () => {
    const number = fc.oneof(
      fc.constantFrom(...edges),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    )
    const leaf: fc.Arbitrary<Expression> = fc.oneof(
      fc.constantFrom(a, b, c),
      number.map((value): Expression => (value === null ? a : { op: 'constant', value })),
    )
    const { tree } = fc.letrec<{ tree: Expression }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6, depthSize: 'max' },
        leaf,
        fc.tuple(fc.constantFrom(...operations), tie('tree'), tie('tree')).map((parts) => operation(...parts)),
      ),
    }))
    for (let part = 0; part < 10; part += 1) {
      const trees = fc.sample(tree, { seed: seed + part, numRuns: 200 })
      await expectAgreement(trees, fc.sample(fc.tuple(number, number, number), { seed: seed + part, numRuns: 60 }))
    }
  })

  it('however deep operations are nested: the SQL grows with their number', async () => {
    const deep = (depth: number): Expression =>
      depth === 0 ? a : operation('modulo', operation('less', b, deep(depth - 1)), deep(depth - 1))
    const columns = { feature: identifier, request: () => 'NULL' }
    const length = (depth: number) => {
      const expression = { tree: deep(depth), nullable: true, magnitude: aggregateMagnitude }
      const derived = [defineDerived('deep', 'deep', expression)]
      return derivedSql({ derived }, columns, { select: '*', from: 't' }).length
    }
    expect(length(16) - length(15)).toBeLessThan(2 * (length(6) - length(5)))
    await expectAgreement([deep(12)], pairs)
  })
})

describe('I3: the tables of docs/expressions.md', () => {
  const lines = readFileSync(new URL('../../../docs/expressions.md', import.meta.url), 'utf8').split('\n')
  const tableOf = (first: string) => {
    const start = lines.findIndex((line) => line.startsWith(`| ${first} `))
    const length = lines.slice(start).findIndex((line) => !line.startsWith('|'))
    const cells = (line: string) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    const [header = '', , ...rows] = lines.slice(start, start + length)
    return { header: cells(header), rows: rows.map(cells) }
  }
  const numberOf = (cell: string): Value => {
    const named = cell.replace('−', '-').replace('max', String(Number.MAX_VALUE)).replace('min', '5e-324')
    return cell === 'missing' ? null : Number(named)
  }
  const [ofTwo, ofOne] = [tableOf('a'), tableOf('value')]

  it('have a column for each operation', () => {
    expect(ofTwo.header).toEqual(['a', 'b', ...binary, 'coalesce'])
    expect(ofOne.header).toEqual(['value', 'floor', 'square_root'])
  })

  it.each([
    ['two values', ofTwo, 2],
    ['one value', ofOne, 1],
  ])('say what engine, reference and DuckDB answer, cell by cell: operations of %s', async (_name, table, operands) => {
    const rows = table.rows.map((cells) => cells.map(numberOf))
    const inputs = rows.map((row) => row.slice(0, operands))
    const trees = table.header.slice(operands).map((op) => operation(op as Operation, a, b))
    expect(await inDuckDb(trees, inputs)).toEqual(rows.map((row) => row.slice(operands)))
    await expectAgreement(trees, inputs)
  })
})

it('a field of the event is its number, 1 or 0 for a truth, and missing where the event has none, in every interpreter', async () => {
  const trees = ['whole', 'zero', 'yes', 'no', 'none', 'text'].map((field): Expression => ({ op: 'request', field }))
  const said = { whole: 7, zero: -0, yes: true, no: false, none: null, text: 'seven' }
  const expected = [7, 0, 1, 0, null, null]
  expect(trees.map((tree) => compileExpression(tree, () => -1)([], said))).toEqual(expected)
  expect(trees.map((tree) => referenceExpression(tree, {}, said))).toEqual(expected)
  const columns = { ...{ whole: 7, zero: -0, yes: 1, no: 0, none: null, text: null } } as Record<string, Value>
  const derived = trees.map((tree, i) =>
    defineDerived(`tree_${i}`, 'a field', { tree, nullable: true, magnitude: aggregateMagnitude }),
  )
  const sql = derivedSql(
    { derived },
    { feature: identifier, request: (field) => doubleSql(columns[field] ?? null) },
    { select: '*', from: '(VALUES (1)) v(row)' },
  )
  const [row] = await query.rows(sql)
  expect(trees.map((_, i) => row?.[`derived tree_${i}`])).toEqual(expected)
})

it('the time of the event is the one that is given beside it', () => {
  const time = compileExpression({ op: 'request', field: 'timeMs' }, () => -1)
  expect([time([], { timeMs: 1 }, 2), time([], { timeMs: 1 }), time([], {})]).toEqual([2, 1, null])
})
