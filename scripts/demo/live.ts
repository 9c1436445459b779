import { catchUp } from './catch-up.ts'
import type { Fed } from './feed.ts'
import { LiveStatus } from './live-status.ts'
import type { Demo } from './run.ts'
import { say, StatusLine } from './say.ts'
import { liveTraffic } from '../simulator/live-traffic.ts'
import { worldOf } from '../simulator/payments.ts'
import { generatePopulation } from '../simulator/population.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { names } from '../../src/app/config.ts'
import { dayMs } from '../../src/core/units.ts'

const statusEveryMs = 1_000

/** After the history: payments as they would come now, until somebody stops it. */
export async function runLive(demo: Demo, fed: Fed): Promise<number> {
  const { options, installation, log, ending } = demo
  const { config } = installation
  await catchUp(demo, 'scored')
  say(welcome(`http://127.0.0.1:${config.HTTP_PORT}`, config.DATA_DIR, options.rate))
  const live = await LiveStatus.follow(log, config)
  const line = new StatusLine()
  const timer = setInterval(() => {
    void live.describe().then(
      (text) => {
        line.show(text)
      },
      () => undefined,
    )
  }, statusEveryMs)
  const world = worldOf({})
  const startMs = Date.now()
  const traffic = liveTraffic({
    world,
    population: generatePopulation(world),
    seed: startMs % 4_294_967_296,
    idPrefix: `live-${startMs.toString(36)}-`,
    originMs: fed.originMs,
    nowMs: () => Date.now(),
    labelDelayMs: 7 * dayMs,
    pending: fed.pending,
  })
  try {
    await streamEvents(traffic, (records) => log.publish(records), {
      topic: names(config).topics.events,
      partitions: config.PARTITIONS,
      batchRecords: 100,
      inFlightMax: config.PARTITIONS,
      ratePerSecond: options.rate,
      historyFromMs: fed.originMs,
      signal: ending,
    })
  } finally {
    clearInterval(timer)
    line.end()
    await live.stop()
  }
  const interrupted = (ending.reason as { code?: string } | undefined)?.code === 'interrupted'
  if (!interrupted) throw ending.reason
  say('stopping')
  return 0
}

function welcome(url: string, dataDir: string, rate: number): string {
  return [
    '',
    `Riverbank is at ${url}, everything it keeps is in ${dataDir}; ${rate} payments a second are coming in. Try:`,
    '',
    `  curl -s ${url}/v1/entities/customer/596/features`,
    `  curl -sN '${url}/v1/score-stream?decision=block,review'`,
    `  curl -s ${url}/v1/sql -H 'content-type: application/json' \\`,
    `    -d '{"sql": "SELECT decision, count(*) AS payments FROM scores GROUP BY ALL"}'`,
    '',
  ].join('\n')
}
