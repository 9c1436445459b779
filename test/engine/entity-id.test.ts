import { DuckDBInstance } from '@duckdb/node-api'
import { expect, test } from 'vitest'
import { literal } from '../../src/base/sql.ts'
import { idPart, idPartSql, joinIdParts, splitIdParts } from '../../src/engine/entity-id.ts'
import { entityIdOf, namedEntityId } from '../../src/engine/plan.ts'

const lists = [
  ['a', 'b|c'],
  ['a|b', 'c'],
  ['a', 'b', 'c'],
  ['a\\', 'b|c'],
  ['a\\|b', 'c'],
  ['a\\\\', 'b', 'c'],
  ['|', '|'],
  ['||', ''],
  ['\\|', '\\'],
]

test('two lists of parts never make one id, whatever characters the parts hold', () => {
  expect(new Set(lists.map(joinIdParts)).size).toBe(lists.length)
  for (const parts of lists) expect(splitIdParts(joinIdParts(parts))).toEqual(parts)
})

test('an event names the composite entity by that id, and an entity with one key field by the field as it is', () => {
  const data = { group: 'a|b', table: 'c' }
  expect(namedEntityId(['group', 'table'], data)).toBe(joinIdParts(['a|b', 'c']))
  expect(entityIdOf(['group', 'table'], data)).toBe(joinIdParts(['a|b', 'c']))
  expect([namedEntityId(['group'], data), entityIdOf(['group'], data)]).toEqual(['a|b', 'a|b'])
})

test('SQL spells a part as the engine does', async () => {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const parts = lists.flat()
  const reader = await connection.runAndReadAll(`SELECT ${parts.map((part) => idPartSql(literal(part))).join(', ')}`)
  expect(reader.getRows()[0]).toEqual(parts.map(idPart))
  connection.closeSync()
  instance.closeSync()
})
