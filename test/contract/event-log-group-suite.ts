import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { RiverbankError } from '../../src/base/errors.ts'
import type { ConsumeOptions, EventLog, OutgoingRecord, Subscription } from '../../src/ports/log.ts'
import { eventually } from '../support/wait.ts'
import type { LogCase } from './event-log-suite.ts'
import { codeOf, commitWithRetry, GroupWitness, Member, type MemberOptions } from './log-probe.ts'

let groups = 0

export function consumeOptions(
  { fixture }: LogCase,
  topic: string,
  change: Partial<ConsumeOptions> = {},
): ConsumeOptions {
  groups += 1
  return {
    group: `group-${groups}-${topic}`,
    topics: [topic],
    maxRecords: 50,
    maxBytes: 1_000_000,
    maxWaitMs: 20,
    sessionTimeoutMs: fixture().sessionTimeoutMs,
    concurrency: 4,
    ...change,
  }
}

export function onPartition(topic: string, partition: number, count: number, from = 0): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({ topic, partition, key: `p${partition}`, value: String(from + i) }))
}

export function eventLogGroupCases(logCase: LogCase): void {
  positionCases(logCase)
  sharingCases(logCase)
}

function positionCases(logCase: LogCase): void {
  const { fixture, open, topic } = logCase
  const within = () => ({ deadlineMs: fixture().deadlineMs })

  it('goes on at the committed position after a stop', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const options = consumeOptions(logCase, name, { maxRecords: 4 })
    await log.publish(onPartition(name, 0, 10))
    const first = new Member()
    const subscription = await log.consume(options, first)
    await eventually(() => first.records.length === 10, within())
    await subscription.stop()
    await subscription.finished
    await subscription.stop()
    expect(first.bindsLake.map((assignment) => assignment.committed)).toEqual([null])
    expect(first.releases.length).toBe(1)
    expect(first.batches.every((batch) => batch.records.length <= 4)).toBe(true)
    const end = (await log.describeTopic(name))?.[0]?.end
    expect(await log.committed(options.group, name)).toEqual(new Map([[0, end]]))

    await log.publish(onPartition(name, 0, 5, 10))
    const second = new Member()
    const again = await (await open()).consume(options, second)
    await eventually(() => second.records.length === 5, within())
    await again.stop()
    expect(second.bindsLake[0]?.committed).toBe(end)
    expect(second.texts()).toEqual(['10', '11', '12', '13', '14'])
    expect([...first.overlaps, ...second.overlaps]).toEqual([])
  })

  it('hands out the same records again when nothing was committed', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const options = consumeOptions(logCase, name)
    await log.publish(onPartition(name, 0, 10))
    const lost = new Member({ batch: (_, batch) => Promise.resolve(batch.next) })
    const crashing = await open()
    await crashing.consume(options, lost)
    await eventually(() => lost.records.length === 10, within())
    await crashing.close()
    expect(await log.committed(options.group, name)).toEqual(new Map())

    const again = new Member()
    await log.consume(options, again)
    await eventually(() => again.records.length === 10, within())
    expect(again.records).toEqual(lost.records)
  })

  it('knows how many members a group has, and that one that stopped is gone', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 2 })
    const options = consumeOptions(logCase, name)
    expect(await log.members(options.group, name)).toBe(0)
    const first = await log.consume(options, new Member())
    await eventually(async () => (await log.members(options.group, name)) === 1, within())
    const second = await (await open()).consume(options, new Member())
    await eventually(async () => (await log.members(options.group, name)) === 2, within())
    expect(await log.members(`${options.group}-other`, name)).toBe(0)
    await Promise.all([first.stop(), second.stop()])
    await eventually(async () => (await log.members(options.group, name)) === 0, within())
  })

  it('goes back when the handler answers a lower offset', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const positions = await log.publish(onPartition(name, 0, 12))
    const offset = (index: number) => positions[index]?.offset ?? -1
    let wentBack = false
    const member = new Member({
      assigned: () => offset(4),
      batch: (_, batch) => {
        const goBack = !wentBack && batch.records.some((record) => record.offset === offset(9))
        if (goBack) wentBack = true
        return Promise.resolve(goBack ? offset(2) : batch.next)
      },
    })
    await log.consume(consumeOptions(logCase, name, { maxRecords: 3 }), member)
    await eventually(() => member.texts().at(-1) === '11', within())
    const texts = member.texts().map(Number)
    const back = texts.indexOf(2)
    expect(texts.slice(0, back)[0]).toBe(4)
    expect(texts.slice(back)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(texts.slice(0, back)).toEqual(Array.from({ length: back }, (_, i) => 4 + i))
  })

  it('tells the lag of each batch and of the group', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const positions = await log.publish(onPartition(name, 0, 30))
    const options = consumeOptions(logCase, name, { maxRecords: 10 })
    const stopAt = positions[9]?.offset ?? 0
    const member = new Member({
      batch: async (assignment, batch) => {
        if (batch.records.some((record) => record.offset === stopAt)) await assignment.commit(stopAt + 1)
        return batch.next
      },
    })
    await log.consume(options, member)
    await eventually(() => member.records.length === 30, within())
    const end = (await log.describeTopic(name))?.[0]?.end ?? 0
    expect(member.batches.every((batch) => batch.end === end)).toBe(true)
    expect(member.batches.at(-1)?.next).toBe(end)
    expect(end - ((await log.committed(options.group, name)).get(0) ?? 0)).toBeGreaterThanOrEqual(20)
  })

  it('works on partitions at the same time, up to `concurrency`, and delivers new records at once', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 4 })
    let running = 0
    let most = 0
    const member = new Member({
      batch: async (assignment, batch) => {
        running += 1
        most = Math.max(most, running)
        await sleep(30)
        running -= 1
        await assignment.commit(batch.next)
        return batch.next
      },
    })
    await log.publish([0, 1, 2, 3].flatMap((partition) => onPartition(name, partition, 20)))
    await log.consume(consumeOptions(logCase, name, { concurrency: 2, maxRecords: 5 }), member)
    await eventually(() => member.records.length === 80, within())
    expect(most).toBe(2)
    expect(member.overlaps).toEqual([])
  })

  it('keeps groups apart, and reads several topics in one group', async () => {
    const log = await open()
    const names = [await topic(log, { partitions: 1 }), await topic(log, { partitions: 2 })]
    await log.publish(names.flatMap((name) => onPartition(name, 0, 3)))
    const members = [new Member(), new Member()]
    for (const member of members) await log.consume(consumeOptions(logCase, names[0] ?? '', { topics: names }), member)
    for (const member of members) {
      await eventually(() => member.records.length === 6 && member.bindsLake.length === 3, within())
      expect(new Set(member.records.map((record) => record.topic))).toEqual(new Set(names))
    }
  })
}

function sharingCases(logCase: LogCase): void {
  const { fixture, open, topic } = logCase
  const within = () => ({ deadlineMs: fixture().deadlineMs })

  it('shares partitions out, also when members come and go: every record handled, none committed past', async () => {
    const writer = await open()
    const name = await topic(writer, { partitions: 4 })
    const options = consumeOptions(logCase, name)
    const witness = new GroupWitness()
    const published = new Map<number, Set<number>>([0, 1, 2, 3].map((partition) => [partition, new Set<number>()]))
    const stopped = { value: false }
    const publishing = publishUntil(writer, name, published, stopped)
    const members: Member[] = []
    const join = async (): Promise<{ member: Member; subscription: Subscription; log: EventLog }> => {
      const log = await open()
      const member = new Member(witnessed(witness, published))
      members.push(member)
      return { member, log, subscription: await log.consume(options, member) }
    }
    const a = await join()
    await eventually(() => a.member.held().length === 4, within())
    const b = await join()
    await eventually(() => a.member.held().length === 2 && b.member.held().length === 2, within())
    expect([...a.member.held(), ...b.member.held()].sort()).toEqual([0, 1, 2, 3])
    const c = await join()
    await eventually(() => [a, b, c].every(({ member }) => member.held().length >= 1), within())
    await b.subscription.stop()
    await eventually(() => a.member.held().length + c.member.held().length === 4, within())
    await c.log.close()
    await eventually(() => a.member.held().length === 4, within())
    stopped.value = true
    const count = await publishing
    await eventually(() => witness.count() === count, within())
    await a.subscription.stop()
    expect(witness.overcommits).toEqual([])
    expect(members.flatMap((member) => member.overlaps)).toEqual([])
    const ranges = (await writer.describeTopic(name)) ?? []
    expect(await writer.committed(options.group, name)).toEqual(new Map(ranges.map((r) => [r.partition, r.end])))
  })

  it('rejects the commit of a member that was replaced with `fenced`', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 2 })
    await log.publish([...onPartition(name, 0, 5), ...onPartition(name, 1, 5)])
    const options = consumeOptions(logCase, name)
    const first = new Member()
    await log.consume(options, first)
    await eventually(() => first.records.length === 10, within())
    const second = new Member()
    await (await open()).consume(options, second)
    await eventually(() => second.bindsLake.length > 0, within())
    const moved = second.bindsLake[0]?.partition
    const old = first.bindsLake.find((assignment) => assignment.partition === moved)
    expect(old?.signal.aborted).toBe(true)
    expect(old === undefined ? '' : await codeOf(old.commit(1))).toBe('fenced')
    const end = (await log.describeTopic(name))?.find((range) => range.partition === moved)?.end
    expect((await log.committed(options.group, name)).get(moved ?? -1)).toBe(end)
  })

  it('drops the assignment of a handler that was fenced, and assigns the partition again', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    await log.publish(onPartition(name, 0, 3))
    let attempts = 0
    const member = new Member({
      batch: async (assignment, batch) => {
        attempts += 1
        if (attempts === 1) throw new RiverbankError('fenced', 'somebody else holds it')
        await commitWithRetry(assignment, batch.next)
        return batch.next
      },
    })
    const subscription = await log.consume(consumeOptions(logCase, name), member)
    await eventually(() => attempts > 1 && member.texts().at(-1) === '2', within())
    expect(member.bindsLake.length).toBeGreaterThan(1)
    await subscription.stop()
    await subscription.finished
  })
}

function witnessed(witness: GroupWitness, published: ReadonlyMap<number, ReadonlySet<number>>): MemberOptions {
  return {
    batch: async (assignment, batch) => {
      for (const record of batch.records) witness.see(record)
      await sleep(batch.next % 3)
      witness.committing(assignment.partition, batch.next, published.get(assignment.partition) ?? new Set())
      await commitWithRetry(assignment, batch.next)
      return batch.next
    },
  }
}

/** Publishes a few records to each partition every few milliseconds; answers how many. */
async function publishUntil(
  log: EventLog,
  topic: string,
  published: ReadonlyMap<number, Set<number>>,
  stopped: { value: boolean },
): Promise<number> {
  let count = 0
  while (!stopped.value) {
    const records = [...published.keys()].flatMap((partition) => onPartition(topic, partition, 3, count))
    for (const position of await log.publish(records)) published.get(position.partition)?.add(position.offset)
    count += records.length
    await sleep(5)
  }
  return count
}
