import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { supervise, type Supervisor, type SupervisorOptions } from '../../../src/app/supervise/supervisor.ts'
import { roleSpecs } from '../../../src/app/supervise/up.ts'
import { pinoLogger } from '../../../src/edges/pino/logger.ts'
import { built } from '../../support/built.ts'
import { eventually } from '../../support/wait.ts'

const root = new URL('../../..', import.meta.url).pathname
const restart = { delayMsMin: 20, delayMsMax: 200, crashesMax: 3, windowMs: 60_000 }
const patience = { deadlineMs: 20_000 }

describe('supervisor', () => {
  let dir: string
  let lines: string[]
  const supervisors: Supervisor[] = []

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-supervisor-'))
    lines = []
  })

  afterEach(async () => {
    for (const supervisor of supervisors.splice(0)) {
      supervisor.kill()
      await supervisor.stop()
    }
    rmSync(dir, { recursive: true, force: true })
  })

  const program = (source: string): string => {
    const file = join(dir, 'role.mjs')
    writeFileSync(file, source)
    return file
  }

  const start = (source: string, options: Partial<SupervisorOptions> = {}): Supervisor => {
    const supervisor = supervise({
      roles: [{ role: 'tiny', count: 1, args: [] }],
      command: { file: process.execPath, args: [program(source)] },
      restart,
      stopTimeoutMs: 5_000,
      clock: { nowMs: () => Date.now() },
      logger: pinoLogger({ level: 'silent', fields: {} }),
      onLine: (line) => lines.push(line),
      ...options,
    })
    supervisors.push(supervisor)
    return supervisor
  }

  const says = (line: string) => eventually(() => lines.includes(line), { ...patience, what: `"${line}"` })

  test('runs as many of each role as asked for, with its own arguments and environment', async () => {
    const source = `console.error(process.argv[2], process.env.PLACE); process.on('message', () => {})`
    const supervisor = start(source, {
      roles: [
        { role: 'process', count: 1, args: ['one'], env: { PLACE: 'here' } },
        { role: 'process', count: 1, args: ['one'], env: { PLACE: 'there' } },
        { role: 'serve', count: 1, args: ['two'] },
      ],
    })
    await says('[process-1] one here')
    await says('[process-2] one there')
    await says('[serve-1] two undefined')
    expect([...supervisor.pids().keys()]).toEqual(['process-1', 'process-2', 'serve-1'])
  })

  test('all roles but the materializer have a large young generation, whatever this process has', async () => {
    const config = readConfig({})
    const source = `console.error(process.argv[2], process.execArgv.join(' ')); process.on('message', () => {})`
    start(source, { roles: roleSpecs(config, 1) })
    await says('[process-1] process --max-semi-space-size=128')
    await says('[serve-1] serve --max-semi-space-size=64')
    await says('[materialize-1] materialize ')
  })

  test('restarts what was killed, with a new process', async () => {
    const supervisor = start(`console.log('up', process.pid); process.on('message', () => {})`)
    const first = supervisor.pids().get('tiny-1') ?? 0
    await says(`[tiny-1] up ${first}`)
    process.kill(first, 'SIGKILL')
    const second = await eventually(() => {
      const pid = supervisor.pids().get('tiny-1')
      return pid === first ? undefined : pid
    }, patience)
    await says(`[tiny-1] up ${second}`)
  })

  test('gives up on a crash loop, stops the others and says which', async () => {
    const source = `
      if (process.argv[2] === 'bad') { console.error('no luck'); process.exit(3) }
      process.on('SIGTERM', () => { console.error('drained'); process.exit(0) })
      process.on('message', () => {})
      console.error('ready')`
    const supervisor = start(source, {
      roles: [
        { role: 'good', count: 1, args: ['good'] },
        { role: 'bad', count: 1, args: ['bad'] },
      ],
      restart: { ...restart, delayMsMin: 200 },
    })
    await says('[good-1] ready')
    await expect(supervisor.finished).rejects.toMatchObject({
      code: 'role_gave_up',
      message: expect.stringMatching(/bad-1 ended 4 times .*exit code 3/) as string,
    })
    expect(lines.filter((line) => line === '[bad-1] no luck')).toHaveLength(4)
    await says('[good-1] drained')
    expect(supervisor.pids().size).toBe(0)
  })

  test('starts a role again for as long as it fails, and tells the roles and the log how often', async () => {
    const tries = join(dir, 'tries')
    const source = `
      import { appendFileSync, readFileSync } from 'node:fs'
      if (process.argv[2] === 'good') {
        process.on('message', (told) => console.error('told', JSON.stringify(told.roles[1])))
      } else {
        appendFileSync('${tries}', '.')
        if (readFileSync('${tries}').length <= 7) process.exit(3)
        process.on('message', () => {})
        console.error('mended')
      }`
    const said: string[] = []
    const to = { write: (line: string) => void said.push(line) }
    start(source, {
      roles: [
        { role: 'good', count: 1, args: ['good'] },
        { role: 'bad', count: 1, args: ['bad'] },
      ],
      restart: { ...restart, crashesMax: null },
      logger: pinoLogger({ level: 'warn', fields: {}, to }),
    })
    await says('[bad-1] mended')
    await says('[good-1] told {"instance":"bad-1","isUp":false,"restarts":6,"lastEnd":"exit code 3"}')
    await says('[good-1] told {"instance":"bad-1","isUp":true,"restarts":7,"lastEnd":"exit code 3"}')
    const failing = said
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((one) => one['level'] === 'error')
    expect(failing.map(({ message, restarts }) => [message, restarts])).toEqual([
      ['keeps failing, restarting', 5],
      ['keeps failing, restarting', 6],
      ['keeps failing, restarting', 7],
    ])
  })

  test('a program that cannot be started is a crash too', async () => {
    const supervisor = start('', { command: { file: join(dir, 'missing'), args: [] } })
    await expect(supervisor.finished).rejects.toMatchObject({ code: 'role_gave_up' })
  })

  test('stop lets the children drain', async () => {
    const supervisor = start(`
      process.on('SIGTERM', () => setTimeout(() => { console.error('drained'); process.exit(0) }, 50))
      process.on('message', () => {})
      console.error('ready')`)
    await says('[tiny-1] ready')
    await Promise.all([supervisor.stop(), supervisor.stop()])
    await supervisor.finished
    await says('[tiny-1] drained')
    expect(supervisor.pids().size).toBe(0)
  })

  test('stop kills what does not stop', async () => {
    const deaf = `process.on('SIGTERM', () => {}); process.on('message', () => {}); console.error('ready')`
    const supervisor = start(deaf, { stopTimeoutMs: 200 })
    await says('[tiny-1] ready')
    const pid = supervisor.pids().get('tiny-1') ?? 0
    await supervisor.stop()
    expect(() => process.kill(pid, 0)).toThrow()
  })

  test('stop during the pause before a restart starts nothing', async () => {
    const supervisor = start('process.exit(1)', { restart: { ...restart, delayMsMin: 60_000, delayMsMax: 60_000 } })
    await eventually(() => supervisor.pids().size === 0, patience)
    await supervisor.stop()
    expect(supervisor.pids().size).toBe(0)
  })

  test('JSON lines pass unchanged, an endless line comes in pieces', async () => {
    start(`console.error('{"level":"info"}'); console.log('x'.repeat(200000)); process.on('message', () => {})`)
    await says('{"level":"info"}')
    await eventually(() => lines.join('').replaceAll(/[^x]/g, '').length === 200_000, patience)
  })

  test('children end when the supervisor is killed', async () => {
    const role = program(`
      import { writeFileSync } from 'node:fs'
      import { exitWithParent } from '${built('src/app/roles/lifecycle/exit-with-parent.ts')}'
      const note = (what) => writeFileSync('${dir}/' + what + '-' + process.pid, '')
      exitWithParent(() => (note('drained'), process.argv[2] === 'stuck' || process.exit(0)), 100)
      process.on('exit', () => note('ended'))
      setInterval(() => undefined, 1000)
      note('ready')`)
    const boss = `
      import { supervise } from '${built('src/app/supervise/supervisor.ts')}'
      const quiet = { debug() {}, info() {}, warn() {}, error() {}, child() { return quiet } }
      const supervisor = supervise({
        roles: [{ role: 'tiny', count: 1, args: [] }, { role: 'stuck', count: 1, args: ['stuck'] }],
        command: { file: process.execPath, args: [${JSON.stringify(role)}] },
        restart: ${JSON.stringify(restart)}, stopTimeoutMs: 5000, clock: { nowMs: () => Date.now() },
        logger: quiet, onLine: () => undefined,
      })
      console.log(JSON.stringify([...supervisor.pids().values()]))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', boss], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await eventually(() => output.includes('\n'), patience)
    const pids = JSON.parse(output) as number[]
    expect(pids).toHaveLength(2)
    const noted = (what: string) => pids.every((pid) => existsSync(join(dir, `${what}-${pid}`)))
    await eventually(() => noted('ready'), { ...patience, what: 'both children run' })
    child.kill('SIGKILL')
    await eventually(() => noted('drained') && noted('ended'), { ...patience, what: 'both children end' })
  })

  test('the own command runs the same program again, with its flags and a heap of its own size', async () => {
    const again = program(`
      import { spawnSync } from 'node:child_process'
      import { ownCommand } from '${built('src/app/supervise/supervisor.ts')}'
      const word = process.argv[2]
      console.log(word)
      const { file, args } = ownCommand()
      if (word === 'second') console.log(process.execArgv.join(' '))
      if (word === 'first') spawnSync(file, [...args, 'second'], { stdio: 'inherit' })`)
    const flags = ['--max-semi-space-size=32', '--enable-source-maps']
    const child = spawn(process.execPath, [...flags, again, 'first'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await eventually(() => output === 'first\nsecond\n--enable-source-maps\n', patience)
  })
})
