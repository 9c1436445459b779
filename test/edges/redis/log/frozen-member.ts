/**
 * A group member in a process of its own, to be frozen: `frozen-member.ts <url> <namespace> <topic> <group> <session
 * timeout>`. Prints one line per event; each batch waits for a line on stdin before it commits.
 */
import { createInterface } from 'node:readline'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { isRiverbankError } from '../../../../src/base/errors.ts'

const [url = '', namespace = '', topic = '', group = '', sessionTimeoutMs = ''] = process.argv.slice(2)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const lines = createInterface({ input: process.stdin })
const log = await openRedisEventLog({ url, namespace, commandTimeoutMs: 2_000 })
const subscription = await log.consume(
  {
    group,
    topics: [topic],
    maxRecords: 5,
    maxBytes: 1_000_000,
    maxWaitMs: 20,
    sessionTimeoutMs: Number(sessionTimeoutMs),
    concurrency: 1,
  },
  {
    assigned: (assignment) => {
      say(`assigned ${assignment.partition} ${assignment.committed ?? 'never'}`)
      return Promise.resolve(assignment.committed ?? assignment.range.start)
    },
    batch: async (assignment, batch) => {
      say(`batch ${batch.records[0]?.offset ?? -1} ${batch.next}`)
      await new Promise<void>((resolve) => lines.once('line', () => resolve()))
      try {
        await assignment.commit(batch.next)
        say(`committed ${batch.next}`)
      } catch (error) {
        say(`commit ${isRiverbankError(error) ? error.code : String(error)} ${assignment.signal.aborted}`)
        throw error
      }
      return batch.next
    },
  },
)
say('joined')
await subscription.finished.catch((error: unknown) => say(`ended ${String(error)}`))
