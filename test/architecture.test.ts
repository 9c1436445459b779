import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { ESLint } from 'eslint'
import { preProcessFile } from 'typescript'
import tseslint from 'typescript-eslint'
import { expect, test } from 'vitest'
import { arrows, clients, pureFolders, purePackages, walls } from '../eslint.architecture.js'

const root = new URL('..', import.meta.url).pathname

// The arrows need no types, and a file that does not exist has none.
const eslint = new ESLint({
  cwd: root,
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { languageOptions: { parserOptions: { projectService: false } } },
  ],
})

async function violations(path: string, code: string): Promise<string[]> {
  const results = await eslint.lintText(code, { filePath: `${root}${path}` })
  return results.flatMap((result) => result.messages).map((m) => m.ruleId ?? `fatal: ${m.message}`)
}

/** A place inside a target: the file itself, or a file in the folder. */
const inside = (target: string) => (target.endsWith('.ts') ? target : `${target}/snippet.ts`)
const importFrom = (from: string, to: string) => {
  const up = '../'.repeat(from.split('/').length - 1)
  return `import { thing } from '${up === '' ? './' : up}${to}'\nexport const use = thing\n`
}

const folders = Object.keys(arrows).filter((path) => path !== 'src/edges')
const destinations = [...folders, 'test']
const isAllowed = (from: string, to: string) =>
  from === to || (arrows[from] ?? []).some((open) => to === open || to.startsWith(`${open}/`))
const pairs = folders.flatMap((from) => destinations.map((to) => [from, to] as const)).filter(([f, t]) => f !== t)

test.each(pairs.filter(([from, to]) => isAllowed(from, to)))('%s may import %s', async (from, to) => {
  const path = inside(from)
  expect(await violations(path, importFrom(path, inside(to).replace('snippet', 'other')))).toEqual([])
})

test.each(pairs.filter(([from, to]) => !isAllowed(from, to)))('%s may not import %s', async (from, to) => {
  const path = inside(from)
  expect(await violations(path, importFrom(path, inside(to)))).toContain('import-x/no-restricted-paths')
})

const behindWalls = Object.entries(walls).flatMap(([room, behind]) =>
  folders
    .filter((from) => from !== room && isAllowed(from, room))
    .flatMap((from) => behind.map((folder) => [from, folder, room] as const)),
)

test.each(behindWalls)('%s may not look behind a wall, at %s of %s', async (from, folder, room) => {
  const path = inside(from)
  expect(await violations(path, importFrom(path, `${folder}/other.ts`))).toContain('import-x/no-restricted-paths')
  expect(await violations(path, importFrom(path, `${room}/other.ts`))).toEqual([])
})

test('each folder of a room with a wall is behind it, and the room and its tests look there', async () => {
  for (const [room, behind] of Object.entries(walls)) {
    const entries = readdirSync(`${root}${room}`, { withFileTypes: true })
    const inRoom = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${room}/${name}`)
    expect([...behind].sort()).toEqual(inRoom.sort())
    for (const path of [`${room}/snippet.ts`, `test/${room.replace('src/', '')}/snippet.test.ts`]) {
      for (const folder of behind) expect(await violations(path, importFrom(path, `${folder}/other.ts`))).toEqual([])
    }
  }
})

test('the arrows are those of the layout', () => {
  const model = ['src/base', 'src/events', 'src/engine', 'src/scoring']
  for (const [at, folder] of model.entries()) expect(arrows[folder]).toEqual(model.slice(0, at))
  expect(arrows['src/process']).toEqual([...model, 'src/ports', 'src/isolation'])
  expect(arrows['src/lake']).toEqual([...model, 'src/compile', 'src/ports', 'src/isolation'])
  expect(arrows['src/serve']).toEqual([...model, 'src/ports', 'src/clock'])
  for (const edge of folders.filter((f) => f.startsWith('src/edges/'))) {
    expect(arrows[edge]).toEqual([...model, 'src/ports', 'src/clock'])
  }
  expect(arrows['src/isolation']).toEqual(['src/base', 'src/events', 'src/ports', 'src/clock'])
  expect(arrows['src/clock']).toEqual([])
  expect(arrows['features']).toEqual(['src/define'])
  expect(arrows['examples']).toEqual(['src/define'])
})

test('every folder of src and every edge has its arrows', () => {
  const entries = readdirSync(`${root}src`).filter((name) => name !== 'edges')
  const edges = readdirSync(`${root}src/edges`).map((name) => `edges/${name}`)
  for (const name of [...entries, ...edges]) expect(folders).toContain(`src/${name}`)
})

test('type imports and dynamic imports are arrows too', async () => {
  const type = `import type { Config } from '../app/installation/settings/config.ts'\nexport type Mine = Config\n`
  expect(await violations('src/process/snippet.ts', type)).toContain('import-x/no-restricted-paths')
  const dynamic = `export const load = () => import('../app/installation/settings/config.ts')\n`
  expect(await violations('src/process/snippet.ts', dynamic)).toContain('import-x/no-restricted-paths')
})

test('a cycle is refused', async () => {
  const code = `import { configSchema } from './config.ts'\nexport const again = configSchema\n`
  expect(await violations('src/base/errors.ts', `import '../app/installation/settings/config.ts'\n`)).toContain(
    'import-x/no-cycle',
  )
  expect(await violations('src/app/installation/settings/snippet.ts', code)).toEqual([])
})

/** By file, the files that it imports: for a type, for a value or when it runs. */
function importsOf(sources: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  const graph = new Map<string, readonly string[]>()
  for (const [path, text] of sources) {
    const named = preProcessFile(text).importedFiles.map(({ fileName }) => posix.join(posix.dirname(path), fileName))
    graph.set(
      path,
      named.filter((other) => sources.has(other)),
    )
  }
  return graph
}

/** The ways from a file back to itself that one walk over all imports meets: none where there is no circle. */
function detours(sources: ReadonlyMap<string, string>): string[] {
  const graph = importsOf(sources)
  const found: string[] = []
  const walked = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(' → '))
    else if (!walked.has(path)) for (const next of graph.get(path) ?? []) walk(next, [...way, path])
    walked.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return found
}

test('no file of src imports itself by a detour, types included', () => {
  const paths = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
  const sources = new Map(paths.map((path) => [`src/${path}`, readFileSync(`${root}src/${path}`, 'utf8')]))
  expect(sources.get('src/main.ts')).toBeDefined()
  expect(detours(sources)).toEqual([])
})

const ways: [string, string][] = [
  ['a type', `import type { Third } from '../third.ts'\nexport type Second = Third\n`],
  ['a value', `import { third } from '../third.ts'\nexport const second = third\n`],
  ['a type in its place', `export type Second = import('../third.ts').Third\n`],
  ['what it exports again', `export * from '../third.ts'\n`],
  ['an effect', `import '../third.ts'\n`],
  ['what it loads when it runs', `export const second = () => import('../third.ts')\n`],
]

test.each(ways)('a circle is found that is closed by %s', (_by, second) => {
  const first = `import type { Second } from './room/second.ts'\nexport type First = Second\n`
  const third = (from: string) => `import type { Thing } from './${from}.ts'\nexport type Third = Thing\n`
  const planted = (from: string) =>
    new Map([
      ['src/first.ts', first],
      ['src/room/second.ts', second],
      ['src/third.ts', third(from)],
      ['src/fourth.ts', 'export type Thing = 4\n'],
    ])
  const circle = 'src/first.ts → src/room/second.ts → src/third.ts → src/first.ts'
  expect(detours(planted('first'))).toEqual([circle])
  expect(detours(planted('fourth'))).toEqual([])
})

const places = ['src/process', 'src/app', 'src/serve', 'src/lake', 'scripts', ...new Set(Object.values(clients))]
const clientPlaces = Object.entries(clients).flatMap(([client, home]) => places.map((p) => [client, home, p] as const))

test.each(clientPlaces)('%s belongs to %s: imported under %s', async (client, home, place) => {
  const path = `${place}/snippet.ts`
  const fixed = await violations(path, `import * as client from '${client}'\nexport const use = client\n`)
  const dynamic = await violations(path, `export const load = () => import('${client}')\n`)
  expect(fixed).toEqual(place === home ? [] : ['no-restricted-imports'])
  expect(dynamic).toEqual(place === home ? [] : ['no-restricted-syntax'])
})

const impure: [string, string][] = [
  ['node:*', `import { readFileSync } from 'node:fs'\nexport const use = readFileSync\n`],
  ['a built-in without its prefix', `import { readFileSync } from 'fs'\nexport const use = readFileSync\n`],
  ['a client', `import { Kafka } from 'kafkajs'\nexport const use = Kafka\n`],
  ['a package that is not computation', `import { Hono } from 'hono'\nexport const use = Hono\n`],
  ['a dynamic import', `export const use = () => import('zod')\n`],
  ['Date.now', 'export const use = Date.now()\n'],
  ['new Date()', 'export const use = new Date()\n'],
  ['Date()', 'export const use = Date()\n'],
  ['performance', 'export const use = performance.now()\n'],
  ['Math.random', 'export const use = Math.random()\n'],
  ['process', 'export const use = process.env\n'],
  ['console', 'console.log(1)\nexport {}\n'],
  ['setTimeout', 'setTimeout(() => 1, 1)\nexport {}\n'],
  ['globalThis', 'export const use = globalThis\n'],
]

test.each(pureFolders.flatMap((folder) => impure.map(([what, code]) => [folder, what, code] as const)))(
  '%s is pure: no %s',
  async (folder, _what, code) => {
    expect(await violations(`${folder}/snippet.ts`, code)).toEqual([
      expect.stringMatching(/^no-restricted-(imports|syntax|globals)$/),
    ])
  },
)

test.each(pureFolders)('%s may compute with zod, hashes and a given time', async (folder) => {
  const imports = purePackages.map((name, i) => `import * as p${i} from '${name}/x.js'\nexport const e${i} = p${i}\n`)
  const code = `${imports.join('')}export const day = (ms: number) => new Date(ms).toISOString()\n`
  expect(await violations(`${folder}/snippet.ts`, code)).not.toContainEqual(expect.stringMatching(/restricted/))
})

test.each(['src/engine', 'features', 'scripts', 'src/app'])('%s: sizes are bounded', async (folder) => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `  export_(${i})\n`).join('')
  const head = `declare function export_(n: number): void\n`
  const body = `${head}export function long() {\n${lines(70)}}\n`
  expect(await violations(`${folder}/snippet.ts`, body)).toEqual(['max-lines-per-function'])
  const comments = `${'// a line\n'.repeat(300)}export const last = 1\n`
  expect(await violations(`${folder}/snippet.ts`, comments)).toEqual(['max-lines'])
})
