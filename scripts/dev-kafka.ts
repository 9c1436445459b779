/**
 * Runs a Kafka broker for development. Prints `KAFKA_BROKERS=127.0.0.1:<port>` on stdout once it is ready, everything
 * else on stderr, and stops the broker at a signal or when its starter is gone.
 */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafkaBroker } from './kafka/broker.ts'

const usage =
  'npm run dev:kafka -- [--port PORT] [--data DIR]\n  --port  by default a free one\n  --data  kept; by default a temporary folder that is removed at the end\n'

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, data: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help === true) {
    process.stdout.write(usage)
    return 0
  }
  const port = values.port === undefined ? undefined : portOf(values.port)
  const told = untilTold()
  const dir = values.data === undefined ? await mkdtemp(join(tmpdir(), 'riverbank-kafka-')) : resolve(values.data)
  try {
    const broker = await startKafkaBroker({
      dir,
      ...(port === undefined ? {} : { port }),
      onProgress: (line) => process.stderr.write(`${line}\n`),
    })
    process.stdout.write(`KAFKA_BROKERS=${broker.brokers}\n`)
    process.stderr.write(`data in ${dir}, stop with Ctrl-C\n`)
    const crash = await Promise.race([told, broker.crashed])
    await broker.stop()
    if (crash instanceof Error) throw crash
    return 0
  } finally {
    if (values.data === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`--port ${text}: not a port\n${usage}`)
  return port
}

/** Resolves on SIGTERM or SIGINT, and when npm or a process between is gone: npm does not pass its signals on. */
function untilTold(): Promise<void> {
  const watched = npmAncestors()
  return new Promise((done) => {
    const watch = setInterval(() => {
      if (!watched.every(isAlive)) stop()
    }, 250)
    const stop = () => {
      clearInterval(watch)
      done()
    }
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
  })
}

/** The processes from this one's parent up to npm; none when npm did not start it. */
function npmAncestors(): number[] {
  if (process.env['npm_lifecycle_event'] === undefined) return []
  const found: number[] = []
  let pid = process.ppid
  for (let level = 0; level < 8 && pid > 1; level += 1) {
    const { stdout } = spawnSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' })
    const line = /^\s*(\d+)\s+(.*)/.exec(stdout)
    if (line === null) return []
    found.push(pid)
    if (/^(\S*node )?\S*npm\b/.test(line[2] ?? '')) return found
    pid = Number(line[1])
  }
  return []
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(1)
  },
)
