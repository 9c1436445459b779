import { once } from 'node:events'
import { catchUp } from './catch-up.ts'
import type { Fed } from './feed.ts'
import { LiveStatus } from './live-status.ts'
import type { Demo, SimulatedDemo } from './run.ts'
import { say, screen } from './say.ts'
import { welcomeLive, welcomeWaiting } from './welcome.ts'
import { defaultChoice } from '../project.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'

const statusEveryMs = 1_000

/** After the history: sends events as they would come now, until a signal stops it. */
export async function runLive(demo: SimulatedDemo, fed: Fed): Promise<number> {
  const { options, installation, log, ending, simulator, samples, scoredTypes } = demo
  const { config } = installation
  await catchUp(demo, 'scored', fed.sent)
  say(welcomeLive(config, samples, options.rate))
  const startMs = Date.now()
  const traffic = simulator.live({
    choice: defaultChoice(simulator),
    seed: startMs % 4_294_967_296,
    idPrefix: `live-${startMs.toString(36)}-`,
    originMs: fed.originMs,
    nowMs: () => Date.now(),
    labelDelayMs: simulator.labelDelayMs,
    pending: fed.pending,
  })
  return untilStopped(demo, () =>
    streamEvents(traffic, (records) => log.publish(records), {
      topic: names(config).topics.events,
      scoredTypes,
      partitions: config.PARTITIONS,
      batchRecords: 100,
      inFlightMax: config.PARTITIONS,
      ratePerSecond: options.rate,
      historyFromMs: fed.originMs,
      signal: ending,
    }),
  )
}

/** Without a simulator: waits for events from elsewhere, until a signal stops it. */
export async function runWaiting(demo: Demo): Promise<number> {
  const { installation, samples, ending } = demo
  say(welcomeWaiting(installation.config, samples))
  return untilStopped(demo, async () => {
    if (!ending.aborted) await once(ending, 'abort')
  })
}

/** Shows the status of the service while `run` goes on. Rejects with the error that ended it; a signal is none. */
async function untilStopped(
  { log, installation, samples, ending }: Demo,
  run: () => Promise<unknown>,
): Promise<number> {
  const live = await LiveStatus.follow(log, installation.config, samples)
  const timer = setInterval(() => {
    void live.describe().then(
      (text) => {
        screen.show(text)
      },
      () => undefined,
    )
  }, statusEveryMs)
  try {
    await run()
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
