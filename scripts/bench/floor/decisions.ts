import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { feedHistory, labelDelayMs, openFeed } from '../feed.ts'
import { openInstallation, type Installation } from '../installation.ts'
import { quantile, type Metric } from '../measurement.ts'
import { readFrom } from '../reads.ts'
import { eachRound, type Run } from '../run.ts'
import type { ExchangeOrder } from './decisions-program.js'
import { newestScore } from './sample.ts'
import { liveTraffic } from '../../../features/simulator/live-traffic.ts'
import { isPayment } from '../../../features/simulator/payment-events.ts'
import { worldOf } from '../../../features/simulator/payments.ts'
import { generatePopulation } from '../../../features/simulator/population.ts'
import { encodeEvent } from '../../../src/events/event.ts'

const warmUpMs = 1_000
/** More than one connection asks in a second. */
const perSecond = 1_500
const goal = { kind: 'below', value: 2 } as const

/**
 * Measures decisions over HTTP, one payment after the other, each answered with its score; beside them a bare exchange of
 * the same bytes over the same server: an event published and consumed, a score published and consumed.
 */
export async function benchFloorDecisions(run: Run, onFailure: (error: unknown) => void): Promise<void> {
  const installation = await openInstallation({ driver: 'redis', roles: ['process', 'serve'], onFailure })
  try {
    const feed = openFeed(run.payments)
    await feedHistory(installation, feed, run.payments, run.signal, 'scored')
    const score = JSON.stringify(await newestScore(installation))
    await eachRound(run, 'floor of decisions', async (round) => {
      const events = eventsOf(run, feed.originMs, round)
      const floor = await exchange(run, installation, { event: events[0] ?? '', score, round })
      const ours = await readFrom(installation.port, requestsOf(installation.port, events), run, 1)
      const metric = (name: string, unit = 'ms'): Metric => ({ benchmark: 'floor', driver: 'redis', name, unit })
      const floorMs = { p50: quantile(floor, 0.5), p99: quantile(floor, 0.99) }
      run.record(metric('one decision, p50 of a bare exchange'), floorMs.p50)
      run.record(metric('one decision, p50 of Riverbank'), ours.p50Ms)
      run.record(metric('one decision, p99 of a bare exchange'), floorMs.p99)
      run.record(metric('one decision, p99 of Riverbank'), ours.p99Ms)
      run.record({ ...metric('one decision, p99 beside the exchange', 'ratio'), goal }, ours.p99Ms / floorMs.p99)
    })
  } finally {
    await installation.close()
  }
}

/** Payments of now, as CloudEvents. */
function eventsOf(run: Run, originMs: number, round: number): string[] {
  const traffic = liveTraffic({
    world: worldOf({}),
    population: generatePopulation(worldOf({})),
    seed: round,
    idPrefix: `decision-${round}-`,
    originMs,
    nowMs: () => Date.now(),
    labelDelayMs,
    payments: Math.ceil((run.seconds + warmUpMs / 1_000) * perSecond),
  })
  return [...traffic].filter(isPayment).map((event) => encodeEvent(event))
}

function requestsOf(port: number, events: readonly string[]): string[] {
  return events.map((body) => {
    const type = 'content-type: application/cloudevents+json'
    const length = `content-length: ${Buffer.byteLength(body)}`
    return `POST /v1/events?wait=10000 HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${type}\r\n${length}\r\n\r\n${body}`
  })
}

/** The milliseconds of each exchange. */
async function exchange(
  run: Run,
  { config }: Installation,
  { event, score, round }: { readonly event: string; readonly score: string; readonly round: number },
): Promise<readonly number[]> {
  const streams = {
    events: `${config.NAMESPACE}:floor:${round}:events`,
    scores: `${config.NAMESPACE}:floor:${round}:scores`,
  }
  const order = { redisUrl: config.REDIS_URL, ...streams }
  const answering = startEnd({ ...order, value: score })
  const asking: { child?: ChildProcess } = {}
  try {
    await messageOf(answering)
    asking.child = startEnd({ ...order, value: event, asking: { warmUpMs, measureMs: run.seconds * 1_000 } })
    const latenciesMs = await messageOf(asking.child)
    return Array.isArray(latenciesMs) ? latenciesMs.map(Number) : []
  } finally {
    for (const child of [answering, asking.child]) if (child?.connected === true) child.disconnect()
  }
}

function startEnd(order: ExchangeOrder): ChildProcess {
  const child = fork(fileURLToPath(new URL('./decisions-program.js', import.meta.url)))
  child.send(order)
  return child
}

function messageOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', (code) => reject(new Error(`an end of the exchange ended with exit code ${code}`)))
  })
}
