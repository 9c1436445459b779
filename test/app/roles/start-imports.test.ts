import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { clients } from '../../../eslint.architecture.js'
import { built } from '../../support/built.ts'

/** Packages that a program loads before its first line runs: what its modules import, and theirs, without `import()`. */
function loadedAtStart(entry: string): ReadonlySet<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const open = [entry]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\b[^'"]*?["']([^"']+)["'];?$/gm,
    )) {
      if (from.startsWith('.')) open.push(join(dirname(file), from))
      else packages.add(from)
    }
  }
  return packages
}

test('the command line is up before any client of a server, a model or a database is loaded', () => {
  const loaded = loadedAtStart(built('src/main.ts'))
  expect([...loaded]).toEqual(expect.arrayContaining(['commander', 'zod']))
  expect(Object.keys(clients).filter((name) => loaded.has(name))).toEqual([])
})

test('a query process loads the database and no other client', () => {
  const loaded = loadedAtStart(built('src/edges/duckdb/sql-process.ts'))
  expect(Object.keys(clients).filter((name) => loaded.has(name))).toEqual(['@duckdb/node-api'])
  expect([...loaded]).not.toContain('zod')
})

test('a query from the command line loads no client of a server or a model', () => {
  const loaded = loadedAtStart(built('src/app/commands/sql-command.ts'))
  expect(Object.keys(clients).filter((name) => loaded.has(name))).toEqual([])
  expect([...loaded].filter((name) => name.startsWith('@hono') || name.startsWith('hono'))).toEqual([])
})
