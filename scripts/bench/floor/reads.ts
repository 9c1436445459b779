import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { feedHistory, openFeed } from '../feed.ts'
import { openInstallation, type Installation } from '../installation.ts'
import type { Goal, Metric } from '../measurement.ts'
import { readFrom, readKinds } from '../reads.ts'
import { eachRound, type Run } from '../run.ts'
import type { ReadsOrder } from './reads-program.js'
import { ownCommand } from '../../../src/app/supervise/supervisor.ts'

const goals: Readonly<Record<string, Goal>> = {
  'GET one customer': { kind: 'above', value: 0.8 },
  'POST three customers': { kind: 'above', value: 0.7 },
}

/** Measures reads on an installation of its own that has processed some history. Reads do not use the log. */
export async function benchFloorReads(run: Run, onFailure: (error: unknown) => void): Promise<void> {
  const installation = await openInstallation({ driver: 'redis', roles: ['process', 'serve'], onFailure })
  try {
    await feedHistory(installation, openFeed(run.payments), run.payments, run.signal, 'scored')
    await compareReads(run, installation)
  } finally {
    await installation.close()
  }
}

/** Measures reads over HTTP and a bare Hono with the same Redis command and the same JSON, in turn, from one client. */
async function compareReads(run: Run, installation: Installation): Promise<void> {
  const kinds = readKinds(installation.port)
  const [one, many] = await Promise.all(kinds.map(({ requests }) => answerTo(installation.port, requests[0] ?? '')))
  const { config } = installation
  const order: ReadsOrder = {
    redisUrl: config.REDIS_URL,
    statePrefix: `${config.NAMESPACE}:state:{customer:`,
    one,
    many,
  }
  const bare = await startBare(order)
  try {
    for (const { name, requests } of kinds) {
      const metric = (what: string, unit: string, goal?: Goal): Metric => {
        return {
          benchmark: 'floor',
          driver: null,
          name: `${name}, ${what}`,
          unit,
          ...(goal === undefined ? {} : { goal }),
        }
      }
      await eachRound(run, `floor of reads, ${name}`, async () => {
        const floor = await readFrom(bare.port, requests, run)
        const ours = await readFrom(installation.port, requests, run)
        run.record(metric('bare Hono', 'requests/s'), floor.requests / floor.seconds)
        run.record(metric('Riverbank', 'requests/s'), ours.requests / ours.seconds)
        run.record(metric("share of bare Hono's rate", 'ratio', goals[name]), ours.requests / floor.requests)
        run.record(metric('p99 of bare Hono', 'ms'), floor.p99Ms)
        run.record(metric('p99 of Riverbank', 'ms'), ours.p99Ms)
      })
    }
  } finally {
    await bare.stop()
  }
}

/** The body that the product answers to one of the requests. */
async function answerTo(port: number, request: string): Promise<unknown> {
  const [head = '', body = ''] = request.split('\r\n\r\n')
  const [method = 'GET', path = '/'] = head.split(' ')
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body === '' ? {} : { body, headers }) })
  return answer.json()
}

function startBare(order: ReadsOrder): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const child = fork(fileURLToPath(new URL('./reads-program.js', import.meta.url)), {
    // The options with which the product starts its role.
    execArgv: ['--max-semi-space-size=64', ...ownCommand().args.slice(0, -1)],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.disconnect()
    await ended
  }
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the bare server ended with exit code ${code}`)))
    child.once('message', (port) => resolve({ port: Number(port), stop }))
    child.send(order)
  })
}
