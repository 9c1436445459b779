import type { SimulatedEvent, SimulatedEvents } from '../../src/define/simulator.ts'
import { partitionOf } from '../../src/events/partitioner.ts'
import type { EventLog } from '../../src/ports/log.ts'

/** The id of the newest event of each partition of a topic; partitions without events are left out. */
export async function newestEventIds(
  log: Pick<EventLog, 'describeTopic' | 'tail'>,
  topic: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  const filled = ((await log.describeTopic(topic)) ?? []).filter(({ start, end }) => end > start)
  const from = new Map(filled.map(({ partition, end }) => [partition, end - 1]))
  const newest = new Map<number, string>()
  if (filled.length === 0) return newest
  const done = new AbortController()
  const tail = await log.tail({ topic, from, maxRecords: 100, maxWaitMs: 100 }, (batch) => {
    const last = batch.records.at(-1)
    if (last !== undefined && from.has(batch.partition)) newest.set(batch.partition, eventIdOf(last.value))
    if (newest.size === filled.length) done.abort()
    return Promise.resolve()
  })
  const either = AbortSignal.any([done.signal, signal])
  if (!either.aborted)
    await new Promise<void>((resolve) => either.addEventListener('abort', () => resolve(), { once: true }))
  await tail.stop()
  signal.throwIfAborted()
  return newest
}

function eventIdOf(value: Uint8Array): string {
  return (JSON.parse(new TextDecoder().decode(value)) as { id: string }).id
}

/**
 * The part of `events` that is not published yet: each partition goes on after its newest event. Publishing keeps the
 * order of a partition, so the log has everything before.
 */
export async function* eventsAfter(
  events: SimulatedEvents,
  newest: ReadonlyMap<number, string>,
  partitions: number,
): AsyncGenerator<SimulatedEvent> {
  const skipping = new Map(newest)
  for await (const event of events) {
    const partition = partitionOf(event.aggregateId, partitions)
    const last = skipping.get(partition)
    if (last === undefined) yield event
    else if (last === event.eventId) skipping.delete(partition)
  }
}
