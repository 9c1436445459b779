import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cpuSeconds } from './cpu.ts'
import type { Installation } from './installation.ts'
import { openLiveFeed } from './live-feed.ts'
import type { Metric } from './measurement.ts'
import { openLoop } from './open-loop.ts'
import type { Place } from './place.ts'
import { untilDone } from './progress.ts'
import { eachRound, sized, type Run } from './run.ts'
import type { StreamOrder, StreamReport } from './stream-load.js'
import { datasetEpochMs } from '../../features/simulator/payment-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { ownCommand } from '../../src/app/supervise/supervisor.ts'

/** The HTTP role takes 200. */
const counts: readonly number[] = [1, 10, 100]
/** Payments a second: one stream then gets so many frames. */
const rate = 500
/** The streams have what they will get once nothing came for so long. */
const quietMs = 500
const quietMsMax = 20_000

type Counted = Extract<StreamReport, { readonly kind: 'counted' }>

/**
 * Measures server-sent events to many subscribers, all in one client process, while payments come at a steady rate: how
 * many scores of each payment arrived at each stream, and the processor time of the HTTP role.
 */
export function benchSubscribers(run: Run, place: Place): Promise<void> {
  return place.within({ roles: ['process', 'serve'] }, async (installation) => {
    for (const streams of sized(run, counts, counts.slice(1, 2))) {
      await eachRound(run, `${streams} subscribers at ${rate} payments/s`, async (round) => {
        const payments = rate * run.seconds
        const client = await startClient({ port: installation.port, streams })
        try {
          const before = await usedByServe(installation)
          const startedMs = performance.now()
          await publish(run, installation, payments, `${streams}-${round}`)
          await untilDone(installation, 'scored', run.signal)
          const counted = await untilQuiet(client)
          const seconds = (counted.atMs - startedMs) / 1_000
          const usedUs = ((await usedByServe(installation)) - before) * 1e6
          const metric = (what: string, unit: string): Metric => {
            return { benchmark: 'subscribers', driver: place.driver, name: `${streams} streams, ${what}`, unit }
          }
          run.record(metric('scores delivered', 'scores/s'), counted.scores / seconds)
          run.record(metric('share of all scores', 'ratio'), counted.scores / (payments * streams))
          run.record(metric('gaps', ''), counted.gaps)
          run.record(metric('processor time, serve, of each payment', 'µs/payment'), usedUs / payments)
          run.record(metric('processor time, serve, of each delivery', 'µs/score'), usedUs / counted.scores)
        } finally {
          client.disconnect()
        }
      })
    }
  })
}

async function publish(run: Run, { config, log }: Installation, payments: number, idPrefix: string): Promise<void> {
  const events = openLiveFeed(datasetEpochMs)({ seed: 1, idPrefix: `bench-${idPrefix}-`, payments })
  await openLoop(events, (records) => log.publish(records), {
    ...{ topic: names(config).topics.events, partitions: config.PARTITIONS, ratePerSecond: rate, signal: run.signal },
    onIntended: () => undefined,
  })
}

async function usedByServe(installation: Installation): Promise<number> {
  return (await cpuSeconds(installation.pids())).get('serve-1') ?? NaN
}

/** A process whose streams are all open. Errors: `subscribers_failed`. */
async function startClient(order: StreamOrder): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./stream-load.js', import.meta.url)), {
    execArgv: ['--max-semi-space-size=64', ...ownCommand().args.slice(0, -1)],
  })
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve())
    child.once('exit', (code) => {
      reject(new RiverbankError('subscribers_failed', `the client ended with exit code ${code}`))
    })
    child.send(order)
  })
  return child
}

/** What the client has counted when nothing more came, and when the last of it had come. */
async function untilQuiet(client: ChildProcess): Promise<Counted & { readonly atMs: number }> {
  const startedMs = performance.now()
  let counted = await ask(client)
  let atMs = startedMs
  while (performance.now() - atMs < quietMs && performance.now() - startedMs < quietMsMax) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const now = await ask(client)
    if (now.bytes > counted.bytes) atMs = performance.now()
    counted = now
  }
  return { ...counted, atMs }
}

function ask(client: ChildProcess): Promise<Counted> {
  return new Promise((resolve) => {
    client.once('message', (message) => resolve(message as Counted))
    client.send('count')
  })
}
