import { setTimeout as delay } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Between two polls: the error of a time that is measured with them. */
const pollMs = 20
/** A run without progress for this long has failed. */
const stalledMs = 60_000

export type Stage = 'scored' | 'materialized'

/** Waits until the group has committed its topics to their ends; no caller may publish meanwhile. */
export async function untilDone({ config, log }: Installation, stage: Stage, signal: AbortSignal): Promise<void> {
  const { topics, groups } = names(config)
  const group = stage === 'scored' ? groups.process : groups.materialize
  const read = stage === 'scored' ? [topics.events] : [topics.events, topics.scores]
  let least = Infinity
  let progressMs = performance.now()
  for (;;) {
    signal.throwIfAborted()
    let left = 0
    for (const topic of read) {
      const [ranges, committed] = await Promise.all([log.describeTopic(topic), log.committed(group, topic)])
      for (const { partition, start, end } of ranges ?? []) left += end - (committed.get(partition) ?? start)
    }
    if (left === 0) return
    if (left < least) progressMs = performance.now()
    least = Math.min(least, left)
    if (performance.now() - progressMs > stalledMs) {
      throw new RiverbankError('stalled', `${left} records are not ${stage}, and nothing moved for ${stalledMs} ms`)
    }
    await delay(pollMs)
  }
}
