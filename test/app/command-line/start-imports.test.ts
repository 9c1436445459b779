import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { clients } from '../../../eslint.architecture.js'
import { built } from '../../support/built.ts'

interface Loaded {
  readonly packages: ReadonlySet<string>
  /** Of ours. */
  readonly files: ReadonlySet<string>
}

/** What a program loads before its first line runs: what its modules import, and theirs, without `import()`. */
function modulesAtStart(entry: string): Loaded {
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
  return { packages, files: seen }
}

const loadedAtStart = (entry: string) => modulesAtStart(entry).packages

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
  const loaded = loadedAtStart(built('src/app/commands/history/sql-command.ts'))
  expect(Object.keys(clients).filter((name) => loaded.has(name))).toEqual([])
  expect([...loaded].filter((name) => name.startsWith('@hono') || name.startsWith('hono'))).toEqual([])
})

test.each(['src/main.ts', 'src/app/commands/history/sql-command.ts'])(
  '%s loads no role, no supervisor and no HTTP',
  (entry) => {
    const { files } = modulesAtStart(built(entry))
    const ofRoles = [...files].filter((file) => /\/src\/(?:app\/roles|app\/supervise|serve)\//.test(file))
    expect(ofRoles).toEqual([])
  },
)
