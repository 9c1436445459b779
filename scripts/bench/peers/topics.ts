import { setTimeout as delay } from 'node:timers/promises'
import type { Contestant } from './contestant.ts'
import type { Installation } from '../installation.ts'
import { topicSpecs } from '../../../src/app/installation/servers/topics.ts'
import { assert, RiverbankError } from '../../../src/base/errors.ts'

/** Between two counts: the error of a time that is measured with them. */
const pollMs = 20
/** A contestant without a further output for this long has failed. */
const stalledMs = 60_000

/** Creates the topics of a contestant, with the partitions and limits of the installation's own. */
export async function createTopics(
  { config, log }: Installation,
  contestant: string,
  wanted: readonly string[],
): Promise<{ readonly namespace: string; readonly topic: (name: string) => string }> {
  const namespace = `${config.NAMESPACE}.${contestant}`
  const [spec] = topicSpecs(config)
  assert(spec !== undefined, 'an installation has topics')
  for (const name of wanted) await log.createTopic({ ...spec, topic: `${namespace}.${name}` })
  return { namespace, topic: (name) => `${namespace}.${name}` }
}

/** The number of records in a topic; no contestant writes transactions, whose marks would count. */
export async function recordsIn({ log }: Installation, topic: string): Promise<number> {
  const ranges = (await log.describeTopic(topic)) ?? []
  return ranges.reduce((sum, { end }) => sum + end, 0)
}

/** Waits until each output has so many records. Errors: `stalled`, `peer_failed`. */
export async function untilWritten(
  installation: Installation,
  contestant: Contestant,
  records: number,
  signal: AbortSignal,
): Promise<void> {
  let most = -1
  let progressMs = performance.now()
  for (;;) {
    signal.throwIfAborted()
    contestant.check()
    const counts = await Promise.all(contestant.outputs.map(({ topic }) => recordsIn(installation, topic)))
    const least = Math.min(...counts)
    if (least >= records) return
    if (least > most) progressMs = performance.now()
    most = Math.max(most, least)
    if (performance.now() - progressMs > stalledMs) {
      throw new RiverbankError('stalled', `${contestant.name} wrote ${least} of ${records}, none for ${stalledMs} ms`)
    }
    await delay(pollMs)
  }
}

/** Waits until a contestant has written nothing for a second: those after it have the machine to themselves. */
export async function untilQuiet(installation: Installation, contestant: Contestant): Promise<void> {
  const count = async () => {
    const counts = await Promise.all(contestant.outputs.map(({ topic }) => recordsIn(installation, topic)))
    return counts.reduce((sum, records) => sum + records, 0)
  }
  for (let before = -1, now = await count(); now !== before; now = await count()) {
    before = now
    await delay(1_000)
  }
}
