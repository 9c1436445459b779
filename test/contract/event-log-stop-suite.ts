import { expect, it } from 'vitest'
import type { PartitionAssignment, LogBatch } from '../../src/ports/log.ts'
import { eventually } from '../support/wait.ts'
import { consumeOptions, onPartition } from './event-log-group-suite.ts'
import type { LogCase } from './event-log-suite.ts'
import { codeOf, Gate, Member, retrying } from './log-probe.ts'

/** Hard stops, and what survives a server that goes away. */
export function eventLogStopCases(logCase: LogCase): void {
  hardStopCases(logCase)
  restartCases(logCase)
}

function hardStopCases(logCase: LogCase): void {
  const { fixture, open, topic } = logCase
  const within = () => ({ deadlineMs: fixture().deadlineMs })

  it('stops hard when the committed position is older than the log', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const options = consumeOptions(logCase, name)
    const positions = await log.publish(onPartition(name, 0, 20))
    const member = new Member({
      batch: async (assignment, batch) => {
        await assignment.commit(positions[5]?.offset ?? 0)
        return batch.next
      },
    })
    const subscription = await log.consume(options, member)
    await eventually(() => member.records.length === 20, within())
    await subscription.stop()
    const start = positions[10]?.offset ?? 0
    await fixture().truncate(name, 0, start)
    expect((await log.describeTopic(name))?.[0]?.start).toBe(start)
    const late = await log.consume(options, new Member())
    expect(await codeOf(late.finished)).toBe('log_truncated')
  })

  it('stops hard when the log is truncated past a reader', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const positions = await log.publish(onPartition(name, 0, 20))
    const gate = new Gate()
    const member = new Member({
      batch: async (_: PartitionAssignment, batch: LogBatch) => {
        await gate.opened
        return positions[2]?.offset ?? batch.next
      },
    })
    const subscription = await log.consume(consumeOptions(logCase, name, { maxRecords: 2 }), member)
    await eventually(() => member.batches.length === 1, within())
    await fixture().truncate(name, 0, positions[12]?.offset ?? 0)
    gate.open()
    expect(await codeOf(subscription.finished)).toBe('log_truncated')
    // A driver that had fetched ahead may deliver what it has; what it has not is never skipped.
    expect([
      ['0', '1'],
      ['0', '1', '2', '3'],
    ]).toContainEqual(member.texts())
  })

  it('stops hard when the position is above the end: the topic was recreated', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    await log.publish(onPartition(name, 0, 3))
    const member = new Member({ assigned: (assignment) => assignment.range.end + 1 })
    const subscription = await log.consume(consumeOptions(logCase, name), member)
    expect(await codeOf(subscription.finished)).toBe('log_recreated')
    expect(member.batches).toEqual([])
  })

  it('stops hard when the topic is deleted and created again under a reader', async () => {
    const log = await open()
    const spec = { partitions: 1, topic: `recreated-${Date.now()}` }
    const name = await topic(log, spec)
    await log.publish(onPartition(name, 0, 20))
    const member = new Member()
    const subscription = await log.consume(consumeOptions(logCase, name), member)
    const ended = codeOf(subscription.finished)
    await eventually(() => member.records.length === 20, within())
    await log.deleteTopic(name)
    const other = await open()
    await retrying(() => topic(other, spec), fixture().deadlineMs)
    await retrying(() => other.publish(onPartition(name, 0, 3, 1_000)), fixture().deadlineMs)
    expect(['log_recreated', 'topic_missing']).toContain(await ended)
    expect(member.texts().map(Number)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  it('ends the consumption with what the handler threw, after the other handlers settled', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 2 })
    await log.publish([...onPartition(name, 0, 1), ...onPartition(name, 1, 1)])
    let settled = false
    const member = new Member({
      batch: async (assignment, batch) => {
        if (assignment.partition === 0) {
          await eventually(() => member.batches.length === 2, within())
          throw new Error('handler gave up')
        }
        await eventually(() => assignment.signal.aborted, within())
        settled = true
        return batch.next
      },
    })
    const subscription = await log.consume(consumeOptions(logCase, name), member)
    await expect(subscription.finished).rejects.toThrow('handler gave up')
    expect(settled).toBe(true)
    expect(member.releases.length).toBe(2)
    await subscription.stop()
  })

  it('stops while a handler runs: waits for it, delivers nothing more', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    await log.publish(onPartition(name, 0, 10))
    const gate = new Gate()
    const member = new Member({
      batch: async (assignment, batch) => {
        await gate.opened
        await assignment.commit(batch.next)
        return batch.next
      },
    })
    const options = consumeOptions(logCase, name, { maxRecords: 5 })
    const subscription = await log.consume(options, member)
    await eventually(() => member.batches.length === 1, within())
    let done = false
    const stopping = subscription.stop().then(() => {
      done = true
    })
    await eventually(() => member.bindsLake[0]?.signal.aborted, within())
    expect(done).toBe(false)
    gate.open()
    await stopping
    await subscription.finished
    expect(member.batches.length).toBe(1)
    expect((await log.committed(options.group, name)).get(0)).toBe(member.batches[0]?.next)
  })

  it('is no member of its group when it was stopped while it joined: the others work at once', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 2 })
    // Nobody waits for the end of this session.
    const options = consumeOptions(logCase, name, { sessionTimeoutMs: 10 * fixture().deadlineMs })
    const stays = new Member()
    const subscription = await log.consume(options, stays)
    await log.publish([...onPartition(name, 0, 1), ...onPartition(name, 1, 1)])
    await eventually(() => stays.records.length === 2, within())
    const passing = await (await open()).consume(options, new Member())
    await eventually(async () => (await log.members(options.group, name)) === 2, within())
    await passing.stop()
    await log.publish([...onPartition(name, 0, 1, 1), ...onPartition(name, 1, 1, 1)])
    await eventually(() => stays.records.length === 4, within())
    expect(await log.members(options.group, name)).toBe(1)
    await subscription.stop()
  })
}

function restartCases(logCase: LogCase): void {
  const { fixture, open, topic } = logCase

  it(
    'survives a server restart under load: nothing acknowledged is lost, the order stays',
    { timeout: 120_000 },
    async () => {
      const log = await open()
      const name = await topic(log, { partitions: 2 })
      const member = new Member()
      const subscription = await (await open()).consume(consumeOptions(logCase, name), member)
      const tailed: string[] = []
      const tail = await log.tail({ topic: name, from: 'end', maxRecords: 100, maxWaitMs: 20 }, (batch) => {
        tailed.push(...batch.records.map((record) => `${record.partition}/${record.offset}`))
        return Promise.resolve()
      })
      const acknowledged: string[] = []
      const deadlineMs = fixture().deadlineMs * 3
      let restarting: Promise<void> = Promise.resolve()
      for (let from = 0; from < 1_000; from += 10) {
        if (from === 400) restarting = fixture().restartServer()
        const records = [...onPartition(name, 0, 10, from), ...onPartition(name, 1, 10, from)]
        const positions = await retrying(() => log.publish(records), deadlineMs)
        acknowledged.push(...positions.map((position) => `${position.partition}/${position.offset}`))
      }
      await restarting
      const handled = () => member.records.map((record) => `${record.partition}/${record.offset}`)
      // Once a look: this loop also has to keep the member's session alive.
      const isAllIn = (found: readonly string[]) => {
        const known = new Set(found)
        return acknowledged.every((at) => known.has(at))
      }
      await eventually(() => isAllIn(handled()), { deadlineMs, what: 'all handled' })
      await eventually(() => isAllIn(tailed), { deadlineMs, what: 'all tailed' })
      for (const partition of [0, 1]) {
        const firsts = [...new Set(member.records.filter((r) => r.partition === partition).map((r) => r.offset))]
        expect(firsts).toEqual([...firsts].sort((left, right) => left - right))
        const texts = new Set(
          member.records.filter((r) => r.partition === partition).map((r) => Buffer.from(r.value).toString()),
        )
        expect([...texts].map(Number)).toEqual(Array.from({ length: 1_000 }, (_, i) => i))
      }
      await tail.stop()
      await subscription.stop()
      expect(member.overlaps).toEqual([])
      expect(new Set(tailed).size).toBe(tailed.length)
    },
  )
}
