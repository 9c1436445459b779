import { setTimeout as delay } from 'node:timers/promises'
import { Estimate } from './estimate.ts'
import { screen } from './say.ts'
import type { Demo } from './run.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import type { EventLog } from '../../src/ports/log.ts'

export type Stage = 'scored' | 'materialized'

/** A run without progress for this long has failed. */
const stalledMs = 120_000

/** Waits until the group has read its topics to their ends. No caller may publish to them meanwhile. */
export async function catchUp({ installation, log, ending }: Demo, stage: Stage, total: number): Promise<void> {
  const { topics, groups } = names(installation.config)
  const group = stage === 'scored' ? groups.process : groups.materialize
  const read = stage === 'scored' ? [topics.events] : [topics.events, topics.scores]
  const estimate = new Estimate(total)
  let least = Infinity
  let progressMs = performance.now()
  for (;;) {
    if (ending.aborted) throw ending.reason
    const left = await unread(log, group, read)
    if (left === 0) break
    if (left < least) progressMs = performance.now()
    least = Math.min(least, left)
    if (performance.now() - progressMs > stalledMs) {
      throw new RiverbankError('stalled', `${left} records are not ${stage} and nothing has moved for two minutes`)
    }
    screen.show(`history: ${estimate.describe(Math.max(0, total - left), stage)}`)
    await delay(100, undefined, { signal: ending }).catch(() => undefined)
  }
  screen.end()
}

/** Records of these topics that a group has not committed. */
export async function unread(log: EventLog, group: string, topics: readonly string[]): Promise<number> {
  let left = 0
  for (const topic of topics) {
    const [ranges, committed] = await Promise.all([log.describeTopic(topic), log.committed(group, topic)])
    for (const { partition, start, end } of ranges ?? []) left += end - (committed.get(partition) ?? start)
  }
  return left
}
