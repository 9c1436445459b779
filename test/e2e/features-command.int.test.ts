import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { riverbank as definitions } from '../../features/index.ts'
import { compiledText } from '../../src/app/installation/settings/compiled-feature-set.ts'
import { compileManifest } from '../../src/compile/manifest.ts'
import { riverbank, root } from './support/program.ts'

const committed = 'features/compiled/feature-set.json'

describe.concurrent('riverbank features', () => {
  let dir: string
  let older: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-features-'))
    older = join(dir, 'older.json')
    writeFileSync(older, compiledText(compileManifest({ ...definitions, services: definitions.services.slice(0, 1) })))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  test('lists, for people and as JSON, whatever the settings are', async () => {
    const args = ['features', 'list', '--view', 'terminal_activity']
    const [plain, json] = await Promise.all([
      riverbank(args, { RIVERBANK_PARTITIONS: 'wrong' }),
      riverbank([...args, '--json']),
    ])
    expect([plain.code, json.code], plain.stderr).toEqual([0, 0])
    expect(plain.stdout.split('\n')[1]).toMatch(/^terminal_activity__payment_count_1h {2}terminal {2}terminal_activity/)
    expect(JSON.parse(json.stdout)).toMatchObject([
      { name: 'terminal_activity__payment_count_1h' },
      { name: 'terminal_activity__payment_count_1d' },
    ])
  })

  test('shows one, and checks the committed file', async () => {
    const [shown, checked] = await Promise.all([
      riverbank(['features', 'show', 'amount_share_1d', '--json']),
      riverbank(['features', 'check', '--json']),
    ])
    expect([shown.code, checked.code]).toEqual([0, 0])
    expect(JSON.parse(shown.stdout)).toMatchObject({ kind: 'feature', name: 'amount_share_1d', aggregated: null })
    const { hash } = JSON.parse(readFileSync(join(root, committed), 'utf8')) as { hash: string }
    expect(JSON.parse(checked.stdout)).toEqual({ path: committed, freshness: 'fresh', hash, run: null })
  })

  test('finds no difference with exit code 0, and one with exit code 1', async () => {
    const [equal, different, json] = await Promise.all([
      riverbank(['features', 'diff', committed]),
      riverbank(['features', 'diff', older]),
      riverbank(['features', 'diff', committed, older, '--json']),
    ])
    expect([equal.code, different.code, json.code]).toEqual([0, 1, 1])
    expect(equal.stdout).toMatch(/^equal: [0-9a-f]{12}\n$/)
    expect(different.stdout).toMatch(/^[0-9a-f]{12} → [0-9a-f]{12}\n\+ service fraud_v2\n$/)
    expect(JSON.parse(json.stdout)).toMatchObject({ equal: false, services: { added: [], removed: ['fraud_v2'] } })
  })

  test.for([
    ['an unknown view', ['list', '--view', 'nothing'], 'there is no view "nothing"'],
    ['an unknown feature', ['show', 'nothing', '--json'], 'there is no feature or view "nothing"'],
    ['a file that is none', ['diff', 'package.json'], 'package.json: not a compiled feature set of format 3'],
    ['no file', ['diff'], "missing required argument 'before'"],
    ['no subcommand', [], 'Usage: riverbank features'],
  ] as const)('%s is exit code 2, with a word on stderr and none on stdout', async ([, args, word]) => {
    const { code, stdout, stderr } = await riverbank(['features', ...args])
    expect(code, stderr).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(word)
  })
})
