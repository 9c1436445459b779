import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../../../../src/app/installation/settings/config.ts'
import { besideInstallation } from '../../../../src/app/installation/settings/running-installation.ts'
import { startEmbeddedRedis, type EmbeddedRedis } from '../../../../src/app/installation/servers/embedded-redis.ts'
import { identifyRedis } from '../../../../src/edges/redis/server/identity.ts'
import { pinoLogger } from '../../../../src/edges/pino/logger.ts'
import { redisAvailable } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'
import { built } from '../../../support/built.ts'

const root = new URL('../../../..', import.meta.url).pathname
const limits = { maxMemoryBytes: 64 * 1024 * 1024, startTimeoutMs: 20_000, stopTimeoutMs: 5_000 }
const logger = pinoLogger({ level: 'silent', fields: {} })

describe.skipIf(redisAvailable() !== null)('embedded redis', () => {
  let dir: string
  const servers: EmbeddedRedis[] = []
  const start = async () => {
    const server = await startEmbeddedRedis({ dir, logger, ...limits })
    servers.push(server)
    return server
  }

  beforeEach(() => {
    // A folder that is reached through a link must be recognised as well.
    dir = join(mkdtempSync(join(tmpdir(), 'riverbank-embedded-')), 'redis')
  })

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
    rmSync(join(dir, '..'), { recursive: true, force: true })
  })

  test('keeps its data over a stop, and never evicts', async () => {
    const first = await start()
    expect(await ask(first.url, 'SET kept yes')).toBe('+OK')
    expect(await ask(first.url, 'CONFIG GET maxmemory-policy')).toContain('noeviction')
    expect(await ask(first.url, 'CONFIG GET appendfsync')).toContain('everysec')
    expect(await ask(first.url, 'CONFIG GET bind')).toContain('127.0.0.1')
    await first.stop()
    await first.stop()
    const second = await start()
    expect(await ask(second.url, 'GET kept')).toContain('yes')
  })

  test('a command finds the installation that runs in its folder, and what is set stays', async () => {
    const folder = join(dir, '..')
    const env = { RIVERBANK_DATA_DIR: folder, OTHER: 'kept' }
    expect(besideInstallation(env)).toEqual(env)
    const server = await start()
    expect(besideInstallation(env)).toEqual({ ...env, REDIS_URL: server.url.replace(/\/$/, '') })
    writeFileSync(join(folder, 'installation.json'), JSON.stringify({ namespace: 'demo-1', log: 'redis' }))
    const beside = besideInstallation({ ...env, RIVERBANK_NAMESPACE: 'mine' })
    expect(beside).toMatchObject({ OTHER: 'kept', RIVERBANK_NAMESPACE: 'mine', RIVERBANK_LOG: 'redis' })
    expect(besideInstallation({ ...env, REDIS_URL: 'redis://elsewhere:1' })).not.toHaveProperty('RIVERBANK_NAMESPACE')
    const settings = () => readConfig(besideInstallation(env))
    expect(settings()).toMatchObject({ NAMESPACE: 'demo-1', projectSettings: { CURRENCY: 'EUR' } })
    const record = { namespace: 'demo-1', log: 'redis', project: '', settings: { CURRENCY: 'USD' } }
    writeFileSync(join(folder, 'installation.json'), JSON.stringify(record))
    expect(settings()).toMatchObject({ NAMESPACE: 'demo-1', projectSettings: { CURRENCY: 'USD' } })
    const other = { ...record, project: 'examples/logins', settings: {} }
    writeFileSync(join(folder, 'installation.json'), JSON.stringify(other))
    expect(settings().project.definition.name).toBe('logins')
    writeFileSync(join(folder, 'installation.json'), JSON.stringify({ ...other, httpPort: 8_123 }))
    expect(settings().HTTP_PORT).toBe(8_123)
    await server.stop()
    expect(settings().HTTP_PORT, 'nobody serves there any more').toBe(8_080)
    expect(settings().project.definition.name, 'the lake is of its project still').toBe('logins')
    expect(besideInstallation(env)).not.toHaveProperty('RIVERBANK_NAMESPACE')
    expect(besideInstallation({ ...env, RIVERBANK_PROJECT: 'features' })).toMatchObject({
      RIVERBANK_PROJECT: 'features',
    })
  })

  test('reports a crash, and a stop is none', async () => {
    const server = await start()
    process.kill(server.pid, 'SIGKILL')
    const crash = await server.crashed
    expect(crash.code).toBe('redis_crashed')
    expect(crash.message).toContain('SIGKILL')
    const other = await start()
    await other.stop()
    expect(await Promise.race([other.crashed, Promise.resolve('quiet')])).toBe('quiet')
  })

  test('stops the server that a killed run left behind, and keeps its data', async () => {
    const left = await abandonedRun(dir)
    expect(await ask(left.url, 'SET kept yes')).toBe('+OK')
    const server = await start()
    expect(server.pid).not.toBe(left.pid)
    expect(await ask(server.url, 'GET kept')).toContain('yes')
    expect(await identifyRedis(Number(new URL(left.url).port), 500)).toBeNull()
  })

  test('refuses a folder whose run still lives', async () => {
    const { url, pid, end } = await livingRun(dir)
    try {
      await expect(start()).rejects.toMatchObject({ code: 'redis_in_use' })
      expect(await ask(url, 'PING')).toBe('+PONG')
    } finally {
      await end()
      process.kill(pid, 'SIGKILL')
    }
  })

  test('a port that somebody else uses now is left alone', async () => {
    const left = await abandonedRun(dir)
    process.kill(left.pid, 'SIGKILL')
    const stranger = await startStranger(Number(new URL(left.url).port))
    try {
      const server = await start()
      expect(await ask(stranger.url, 'PING')).toBe('+PONG')
      expect(server.url).not.toBe(stranger.url)
    } finally {
      await stranger.stop()
    }
  })
})

/** Another program runs the embedded server; it lives until `end`. */
async function livingRun(dir: string): Promise<{ url: string; pid: number; end(): Promise<void> }> {
  const program = `
    import { startEmbeddedRedis } from '${built('src/app/installation/servers/embedded-redis.ts')}'
    import { pinoLogger } from '${built('src/edges/pino/logger.ts')}'
    const logger = pinoLogger({ level: 'silent', fields: {} })
    const server = await startEmbeddedRedis({ dir: ${JSON.stringify(dir)}, logger, ...${JSON.stringify(limits)} })
    console.log(JSON.stringify({ url: server.url, pid: server.pid }))
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let line = ''
  child.stdout.on('data', (chunk: Buffer) => (line += chunk.toString()))
  await eventually(() => line.includes('\n'), { deadlineMs: 30_000, what: 'the other program runs' })
  const server = JSON.parse(line) as { url: string; pid: number }
  const end = () =>
    new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGKILL')
    })
  return { ...server, end }
}

async function abandonedRun(dir: string): Promise<{ url: string; pid: number }> {
  const { url, pid, end } = await livingRun(dir)
  await end()
  expect(await identifyRedis(Number(new URL(url).port), 2_000)).toEqual({ pid, dir: realpathSync(dir) })
  return { url, pid }
}

async function startStranger(port: number) {
  const { findRedisServer, startRedisServer } = await import('../../../../src/edges/redis/server/server.ts')
  const own = mkdtempSync(join(tmpdir(), 'riverbank-stranger-'))
  expect(existsSync(own)).toBe(true)
  const binary = findRedisServer() ?? ''
  const options = { binary, port, dir: own, persistence: 'off', maxMemoryBytes: 0, startTimeoutMs: 20_000 } as const
  const server = await startRedisServer(options)
  const stop = async () => {
    await server.kill()
    rmSync(own, { recursive: true, force: true })
  }
  return { url: server.url, stop }
}

/** One inline command over a connection of its own; the raw answer without its line end. */
function ask(url: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.end(`${command}\r\n`))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.once('error', reject)
    socket.once('close', () => resolve(text.trim()))
  })
}
