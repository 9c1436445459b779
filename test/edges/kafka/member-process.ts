/**
 * A group member in a process of its own, so that a test can freeze it. Tells what happens as JSON lines, and holds
 * each batch until it reads a line. Arguments: brokers, group, topic, session timeout in ms, and what it does with a
 * line: `commits`, `keeps quiet`, or `blocks` its event loop for two sessions.
 */
import { createInterface } from 'node:readline'
import { openKafkaEventLog } from '../../../src/edges/kafka/event-log.ts'
import { codeOf } from '../../contract/log-probe.ts'

const [brokers = '', group = '', topic = '', sessionTimeoutMs = '', habit = ''] = process.argv.slice(2)
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function main(): Promise<void> {
  const log = await openKafkaEventLog({ brokers: [brokers], clientId: 'riverbank.test.member' })
  const subscription = await log.consume(
    {
      group,
      topics: [topic],
      maxRecords: 1,
      maxBytes: 1_000_000,
      maxWaitMs: 20,
      sessionTimeoutMs: Number(sessionTimeoutMs),
      concurrency: 1,
    },
    {
      assigned: (assignment) => {
        const first = assignment.committed ?? assignment.range.start
        tell({ kind: 'assigned', first })
        return Promise.resolve(first)
      },
      batch: async (assignment, batch) => {
        tell({ kind: 'batch', offset: batch.records[0]?.offset })
        await lines.next()
        const blockedUntil = performance.now() + (habit === 'blocks' ? 2 * Number(sessionTimeoutMs) : 0)
        while (performance.now() < blockedUntil);
        const code = habit === 'commits' ? await codeOf(assignment.commit(batch.next)) : 'none'
        tell({ kind: 'done', code })
        return batch.next
      },
    },
  )
  process.once('SIGTERM', () => {
    void subscription.stop().then(() => log.close())
    process.stdin.destroy()
  })
  await subscription.finished
}

void main()
