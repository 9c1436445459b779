import { setTimeout as delay } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Before the last poll: the error of a time that is measured with them. */
const pollMsMin = 20
/** While the rate is not known yet. */
const firstPollMs = 50
const pollMsMax = 2_000
/** A run without progress for this long has failed. */
const stalledMs = 60_000

export type Stage = 'scored' | 'materialized'

/**
 * Waits until the group has committed its topics to their ends; no caller may publish meanwhile. A poll costs a broker
 * as much as many records, so the next poll comes after half of the time that the rest will take at the rate so far:
 * five seconds take about ten polls.
 */
export async function untilDone(installation: Installation, stage: Stage, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now()
  const first = await leftOf(installation, stage)
  let least = first
  let progressMs = startedMs
  for (let left = first; left > 0; left = await leftOf(installation, stage)) {
    signal.throwIfAborted()
    const nowMs = performance.now()
    if (left < least) progressMs = nowMs
    least = Math.min(least, left)
    if (nowMs - progressMs > stalledMs) {
      throw new RiverbankError('stalled', `${left} records are not ${stage}, and nothing moved for ${stalledMs} ms`)
    }
    const restMs = left === first ? 2 * firstPollMs : (left * (nowMs - startedMs)) / (first - left)
    await delay(Math.min(pollMsMax, Math.max(pollMsMin, restMs / 2)), undefined, { signal })
  }
}

async function leftOf({ config, log }: Installation, stage: Stage): Promise<number> {
  const { topics, groups } = names(config)
  const group = stage === 'scored' ? groups.process : groups.materialize
  const read = stage === 'scored' ? [topics.events] : [topics.events, topics.scores]
  const perTopic = read.map(async (topic) => {
    const [ranges, committed] = await Promise.all([log.describeTopic(topic), log.committed(group, topic)])
    return (ranges ?? []).reduce((sum, { partition, start, end }) => {
      return sum + end - (committed.get(partition) ?? start)
    }, 0)
  })
  return (await Promise.all(perTopic)).reduce((sum, left) => sum + left, 0)
}
