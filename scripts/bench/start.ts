import { spawn } from 'node:child_process'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from './command.ts'
import type { Metric } from './measurement.ts'
import { inFolder, type Place } from './place.ts'
import { eachRound, type Run } from './run.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { freePort } from '../../src/edges/redis/server/server.ts'

const goals = { sql: { kind: 'below', value: 0.7 }, start: { kind: 'below', value: 10 } } as const
const decidedMs = 120_000
const runner = join(projectFolder, 'scripts', 'bootstrap', 'run.mjs')

/** Measures what a person waits for: `riverbank sql "SELECT 1"`, and `npm start` to the first decision of a stream. */
export async function benchStart(run: Run, place: Place): Promise<void> {
  const { env } = await place.history()
  const metric: Metric = { benchmark: 'start', driver: null, name: '', unit: 's' }
  const sql = [runner, 'src/main.ts', 'sql', 'SELECT 1']
  await eachRound(run, 'riverbank sql', async () => {
    const { seconds } = await runCommand(process.execPath, sql, env, run.signal)
    run.record({ ...metric, name: 'riverbank sql "SELECT 1"', goal: goals.sql }, seconds)
  })
  await eachRound(run, 'npm start', async () => {
    const seconds = await inFolder('start', (dir) => firstDecision(dir, run.signal))
    run.record({ ...metric, name: 'npm start to the first decision', goal: goals.start }, seconds)
  })
}

/** Seconds from the start of the process to the first score that a subscriber reads. Errors: `start_failed`. */
async function firstDecision(dir: string, signal: AbortSignal): Promise<number> {
  const port = await freePort()
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('RIVERBANK_') && name !== 'REDIS_URL',
  )
  const startedMs = performance.now()
  const args = [runner, '--redis', 'scripts/demo.ts', '--data', join(dir, 'data'), '--port', String(port)]
  const child = spawn(process.execPath, args, {
    cwd: projectFolder,
    env: Object.fromEntries(inherited),
    stdio: 'ignore',
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  try {
    while (child.exitCode === null && performance.now() - startedMs < decidedMs) {
      signal.throwIfAborted()
      if (await hasScore(port)) return (performance.now() - startedMs) / 1_000
      await delay(20)
    }
    throw new RiverbankError('start_failed', `npm start decided nothing within ${decidedMs} ms`)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

/** Waits for a score; false when nobody listens yet or the stream ended. */
function hasScore(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', path: '/v1/score-stream', agent: false }, (response) => {
      if (response.statusCode !== 200) resolve(false)
      response.setEncoding('latin1').on('data', (text: string) => {
        if (!text.includes('event: score')) return
        resolve(true)
        request.destroy()
      })
      response.on('close', () => resolve(false))
    })
    request.setTimeout(decidedMs, () => request.destroy())
    request.on('error', () => resolve(false))
    // Whatever the answer: the connection ends with it.
    request.on('close', () => resolve(false))
  })
}
