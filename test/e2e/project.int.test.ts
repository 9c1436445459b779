import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/wait.ts'
import { riverbank, root, startProgram } from './support/program.ts'

/** `npm run riverbank -- <args>` and so on: with the build. */
const run = (program: string, args: readonly string[], settings: Readonly<Record<string, string>> = {}) =>
  startProgram(['scripts/bootstrap/run.mjs', program, ...args], settings).ended

describe('a project in a folder outside of the repository', () => {
  let dir: string
  let folder: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-outside-'))
    folder = join(dir, 'logins')
    cpSync(join(root, 'examples/logins'), folder, { recursive: true })
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  test('is built, listed, compiled and simulated as the one inside is', async () => {
    const args = ['features', 'list', '--json', '--project', folder]
    const [outside, inside] = [
      await run('src/main.ts', args),
      await riverbank(['--project', 'examples/logins', 'features', 'list', '--json']),
    ]
    expect([outside.code, inside.code], outside.stderr + inside.stderr).toEqual([0, 0])
    expect(JSON.parse(outside.stdout)).toEqual(JSON.parse(inside.stdout))

    writeFileSync(join(folder, 'compiled/feature-set.json'), '{}')
    const stale = await run('src/main.ts', ['features', 'check'], { RIVERBANK_PROJECT: folder })
    expect([stale.code, stale.stdout]).toEqual([1, expect.stringContaining(`-- --project ${folder}`)])
    expect((await run('scripts/compile-features.ts', ['--project', folder])).code).toBe(0)
    const compiled = (at: string) => readFileSync(join(at, 'compiled/feature-set.json'), 'utf8')
    expect(compiled(folder)).toBe(compiled(join(root, 'examples/logins')))

    const events = ['--to', 'ndjson', '--events', '50', '--quiet', '--accounts', '40']
    const [there, here] = [
      await run('scripts/simulate.ts', [...events, '--project', folder]),
      await run('scripts/simulate.ts', [...events, '--project=examples/logins']),
    ]
    expect([there.code, there.stdout], there.stderr).toEqual([0, here.stdout])
    expect(there.stdout.split('\n')[0]).toContain('"login.attempted"')
  })

  test.each([
    ['a file that does not parse', 'views.ts', 'export const = 1\n', 'views.ts:1: '],
    [
      'a mistake in a definition',
      'index.ts',
      `import { defineEntity } from 'riverbank/define'\nexport const a = defineEntity({ name: 'Bad Name', keyFields: [] })\n`,
      'Bad Name',
    ],
    [
      'a definition that is not there yet, as in a circle of its files',
      'index.ts',
      `import { coalesce } from 'riverbank/define'\nexport const a = coalesce(undefined, 0)\n`,
      'index.ts:2:18 (is a definition used before its file is read?)',
    ],
    ['an index that exports no project', 'index.ts', 'export const a = 1\n', 'exports no project'],
    [
      'an import of what is neither its own nor the program’s',
      'index.ts',
      `export * from '../elsewhere.ts'\n`,
      'is outside of the project',
    ],
  ])('is refused with exit code 2 and one line for %s', async (_, file, text, told) => {
    const wrong = join(dir, `${file}-${told}`.replace(/[^a-z]+/gi, '-'))
    cpSync(folder, wrong, { recursive: true })
    writeFileSync(join(wrong, file), text)
    for (const [program, args] of [
      ['src/main.ts', ['features', 'list']],
      ['src/main.ts', ['up']],
      ['scripts/compile-features.ts', []],
      ['scripts/demo.ts', ['--exit', '--events', '10', '--data', join(dir, 'none')]],
    ] as const) {
      const ended = await run(program, [...args, '--project', wrong])
      const lines = ended.stderr.split('\n').filter((line) => line.includes('project_'))
      expect([ended.code, lines], ended.stderr).toEqual([2, [expect.stringMatching(/^(simulate: )?project_refused: /)]])
      expect(lines[0]).toContain(told)
    }
  })

  test.each([
    [
      'a policy of another format',
      'models/takeover/1/policies/1.json',
      (text: string) => text.replace('"format": 2', '"format": 1'),
      'policy_invalid',
    ],
    ['a model that is not there', 'models/registry.json', (text: string) => text.replace('"1"', '"9"'), 'file_missing'],
    [
      'a registry without the type',
      'models/registry.json',
      (text: string) => text.replace('login.attempted', 'login.made'),
      'names no champion for login.attempted',
    ],
  ])('with %s starts nothing, with exit code 2 and one line', async (what, file, broken, told) => {
    const wrong = join(dir, what.replaceAll(' ', '-'))
    cpSync(folder, wrong, { recursive: true })
    writeFileSync(join(wrong, file), broken(readFileSync(join(wrong, file), 'utf8')))
    const data = join(dir, `${what.replaceAll(' ', '-')}-data`)
    const ended = await run('scripts/demo.ts', ['--exit', '--events', '10', '--data', data, '--project', wrong])
    expect(ended.code, ended.stderr).toBe(2)
    expect(ended.stderr.split('\n').filter((line) => line.startsWith('model_refused: '))).toEqual([
      expect.stringContaining(told),
    ])
    expect(existsSync(data)).toBe(false)
  })

  test('whose definitions changed since they were compiled starts nothing: no role, and no npm start', async () => {
    const changed = join(dir, 'changed')
    cpSync(folder, changed, { recursive: true })
    const views = join(changed, 'views.ts')
    writeFileSync(views, readFileSync(views, 'utf8').replace("['7d', '30d']", "['7d', '14d', '30d']"))
    const data = join(dir, 'changed-data')
    for (const [program, args] of [
      ['scripts/demo.ts', ['--exit', '--events', '10', '--data', data]],
      ...['up', 'process', 'serve', 'materialize'].map((role) => ['src/main.ts', [role]] as const),
    ] as const) {
      const ended = await run(program, [...args, '--project', changed], { RIVERBANK_DATA_DIR: data })
      const told = ended.stderr.split('\n').filter((line) => line.startsWith('feature_set_stale: '))
      expect([ended.code, told], ended.stderr).toEqual([
        2,
        [
          `feature_set_stale: ${changed}/compiled/feature-set.json is not what the definitions say: run npm run features:compile -- --project ${changed}`,
        ],
      ])
    }
    expect(existsSync(data)).toBe(false)
  })

  describe('without a simulator', () => {
    let waiting: string
    beforeAll(() => {
      waiting = join(dir, 'waiting')
      cpSync(folder, waiting, { recursive: true })
      const index = join(waiting, 'index.ts')
      const lines = readFileSync(index, 'utf8').split('\n')
      writeFileSync(index, lines.filter((line) => !/simulat/i.test(line)).join('\n'))
    })

    test('starts and scores the events that others send', async () => {
      const args = ['--project', waiting, '--data', join(dir, 'waiting-data')]
      const program = startProgram(['scripts/bootstrap/run.mjs', 'scripts/demo.ts', ...args])
      try {
        const url = await eventually(
          () => /Riverbank is at (\S+),[^]*This project simulates nothing/.exec(program.stderr())?.[1] ?? null,
          { deadlineMs: 300_000 },
        )
        const event = {
          ...{ eventId: 'l-1', eventType: 'login.attempted', version: 1, aggregateType: 'account', aggregateId: 'a-1' },
          timestamp: Date.now(),
          data: { accountId: 'a-1', ip: '192.0.2.1', country: 'CH', succeeded: true },
        }
        const score = await eventually(
          async () => {
            const answer = await fetch(`${url}/v1/events?wait=5000`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify(event),
            }).catch(() => null)
            const body = (await answer?.json()) as { results?: { score?: { accountId: string } }[] } | undefined
            return body?.results?.[0]?.score ?? null
          },
          { deadlineMs: 300_000 },
        )
        expect(score).toMatchObject({ accountId: 'a-1' })
      } finally {
        program.child.kill('SIGINT')
      }
      expect((await program.ended).code, program.stderr()).toBe(0)
    })

    test('has no history to feed: a run that asks for one starts nothing', async () => {
      const data = join(dir, 'no-history')
      const ended = await run('scripts/demo.ts', ['--exit', '--project', waiting, '--data', data])
      expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('project_without_simulator: ')])
      expect(existsSync(data)).toBe(false)
    })
  })
})
