import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { takeOwnership } from '../../src/lake/materialize/flush.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import { riverbank, root, startRiverbank } from './support/program.ts'

describe.concurrent('the command line', () => {
  test.for([
    ['no command', []],
    ['an unknown command', ['flow']],
    ['an unknown option', ['up', '--fast']],
    ['a number that is none', ['up', '--processors', 'two']],
    ['an argument that is missing', ['sql']],
    ['an option that is missing', ['dead-letters', 'replay']],
  ] as const)('%s is exit code 2, with a word on stderr and none on stdout', async ([, args]) => {
    const { code, stdout, stderr } = await riverbank(args)
    expect(code, stderr).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/usage|error/i)
  })

  test('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(await riverbank(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` })
  })

  test('help is no mistake', async () => {
    const { code, stdout } = await riverbank(['--help'])
    expect(code).toBe(0)
    for (const command of [
      'up',
      'process',
      'serve',
      'materialize',
      'topics',
      'sql',
      'verify',
      'rebuild',
      'backfill',
      'dead-letters',
    ])
      expect(stdout).toContain(`  ${command}`)
  })

  test('a wrong configuration is exit code 2 and one line for each mistake', async () => {
    const { code, stdout, stderr } = await riverbank(['up'], {
      RIVERBANK_PARTITIONS: '0',
      RIVERBANK_LOG: 'paper',
      RIVERBANK_SPEED: 'high',
    })
    expect(code).toBe(2)
    expect(stdout).toBe('')
    const lines = stderr.trimEnd().split('\n').toSorted()
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'RIVERBANK_LOG',
      'RIVERBANK_PARTITIONS',
      'RIVERBANK_SPEED',
    ])
  })

  test.for(['serve', 'up'])('%s listens beyond loopback only with an API key', async (role) => {
    const { code, stderr } = await riverbank([role], { RIVERBANK_HTTP_HOST: '0.0.0.0' })
    expect(code).toBe(2)
    expect(stderr).toContain('RIVERBANK_API_KEY')
  })

  test.for([
    ['features list', {}],
    ['features list --json', {}],
    ['doctor --settings', {}],
    ['lake files', { RIVERBANK_DATA_DIR: 'empty' }],
    ['lake files --sql', { RIVERBANK_DATA_DIR: 'empty' }],
    ['sql "SELECT 1"', { RIVERBANK_DATA_DIR: 'empty' }],
  ] as const)('%s ends without a word when its reader goes away', async ([command, settings]) => {
    const dir = mkdtempSync(join(tmpdir(), 'riverbank-reader-'))
    const folder = 'RIVERBANK_DATA_DIR' in settings ? { RIVERBANK_DATA_DIR: dir } : {}
    const lake = await openLake({ dir: join(dir, 'lake') })
    await takeOwnership(lake, { topic: 'payments.events', partition: 0, owner: 'somebody' })
    const args = [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)
    const { child, ended } = startRiverbank(args, folder)
    child.stdout?.destroy()
    const { code, signal, stderr } = await ended
    rmSync(dir, { recursive: true, force: true })
    expect([0, 141], stderr).toContain(code)
    expect(signal).toBeNull()
    expect(stderr).not.toMatch(/EPIPE|Error|\n {4}at /)
  })

  test('a server that is not there is exit code 1 and one line with its code', async () => {
    // Port 9 is discard: nobody listens there.
    const { code, stderr } = await riverbank(['topics', 'lag'], { REDIS_URL: 'redis://127.0.0.1:9' })
    expect(code).toBe(1)
    expect(stderr.trimEnd()).toMatch(/^log_unavailable: .*$/)
  })
})
