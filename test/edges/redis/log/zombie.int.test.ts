import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openRedisEventLog, type RedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { onPartition } from '../../../contract/event-log-group-suite.ts'
import { Member } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'
import { built } from '../../../support/built.ts'

const program = built('test/edges/redis/log/frozen-member.ts')
const sessionTimeoutMs = 1_200
const within = { deadlineMs: 15_000 }

describe.skipIf(redisAvailable() !== null)('a member that was frozen', () => {
  let server: TestRedis
  let log: RedisEventLog
  let child: ChildProcess | null = null
  const said: string[] = []
  beforeEach(async () => {
    server = await startTestRedis()
    log = await openRedisEventLog({ url: server.url, namespace: 'z', commandTimeoutMs: 2_000 })
    await log.createTopic({
      topic: 'events',
      partitions: 1,
      replicationFactor: 1,
      retentionMs: 3_600_000,
      retentionBytes: 1_000_000,
      maxRecordBytes: 1_000,
    })
  })
  afterEach(async () => {
    child?.kill('SIGKILL')
    await log.close()
    await server.stop()
  })

  it('I4: is replaced after its session timeout, and its commit is fenced when it wakes', async () => {
    await log.publish(onPartition('events', 0, 10))
    child = startMember([server.url, 'z', 'events', 'workers', String(sessionTimeoutMs)], said)
    await eventually(() => said.includes('batch 0 5'), within)
    child.kill('SIGSTOP')

    const heir = new Member()
    const subscription = await log.consume(
      {
        group: 'workers',
        topics: ['events'],
        maxRecords: 5,
        maxBytes: 1_000_000,
        maxWaitMs: 20,
        sessionTimeoutMs,
        concurrency: 1,
      },
      heir,
    )
    await eventually(() => heir.records.length === 10, within)
    expect(heir.bindsLake[0]?.committed).toBeNull()
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 10, within)

    child.stdin?.write('commit now\n')
    child.kill('SIGCONT')
    await eventually(() => said.includes('commit fenced true'), within)
    expect((await log.committed('workers', 'events')).get(0)).toBe(10)
    expect(said.filter((line) => line.startsWith('batch'))).toEqual(['batch 0 5'])

    // It is a member again: it takes over when the other one leaves.
    await subscription.stop()
    await eventually(() => said.includes('assigned 0 10'), within)
  })
})

function startMember(args: readonly string[], said: string[]): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line))
  return child
}
