import { expect, test } from 'vitest'
import { CountedEvents } from '../../../scripts/demo/feed.ts'
import { eventsAfter } from '../../../scripts/demo/resume.ts'
import type { SimulatedEvent } from '../../../src/define/simulator.ts'
import { partitionOf } from '../../../src/events/partitioner.ts'

const event = (eventId: string, eventType: string): SimulatedEvent => ({
  ...{ eventId, eventType, timestamp: 0, version: 1, data: {} },
  ...{ aggregateId: 'a1', aggregateType: 'account' },
})
const history = [
  event('m1', 'membership.changed'),
  event('l1', 'login.attempted'),
  event('m2', 'membership.changed'),
  event('t1', 'takeover.reported'),
]

test('every event of a history is counted, also one that is neither scored nor a label, and one that was sent before', async () => {
  const counted = new CountedEvents(history)
  const sentBefore = new Map([[partitionOf('a1', 4), 'l1']])
  const left: string[] = []
  for await (const { eventId } of eventsAfter(counted, sentBefore, 4)) left.push(eventId)
  expect(left).toEqual(['m2', 't1'])
  expect(counted.sent).toBe(history.length)
})
