import { catchUp } from './catch-up.ts'
import type { Fed } from './feed.ts'
import { LiveStatus } from './live-status.ts'
import type { Demo } from './run.ts'
import { say, screen } from './say.ts'
import { welcomeLive } from './welcome.ts'
import { liveTraffic } from '../simulator/live-traffic.ts'
import { worldOf } from '../simulator/payments.ts'
import { generatePopulation } from '../simulator/population.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { names } from '../../src/app/installation/config.ts'
import { dayMs } from '../../src/base/units.ts'

const statusEveryMs = 1_000

/** After the history: payments as they would come now, until somebody stops it. */
export async function runLive(demo: Demo, fed: Fed): Promise<number> {
  const { options, installation, log, ending } = demo
  const { config } = installation
  await catchUp(demo, 'scored', fed.payments + fed.labels)
  say(welcomeLive(config, options.rate))
  const live = await LiveStatus.follow(log, config)
  const timer = setInterval(() => {
    void live.describe().then(
      (text) => {
        screen.show(text)
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
    currency: config.CURRENCY,
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
    screen.end()
    await live.stop()
  }
  const interrupted = (ending.reason as { code?: string } | undefined)?.code === 'interrupted'
  if (!interrupted) throw ending.reason
  say('stopping')
  return 0
}
