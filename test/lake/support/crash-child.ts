import { openLake } from '../../../src/lake/commit/lake.ts'
import { batchOf, claimOf, day, materializer, payment, record, topics } from './feed.ts'

/** Writes events of partition 0 and stops for ever at a point of its second flush, for its parent to kill it there. */
const [dir = '', point = ''] = process.argv.slice(2)
let flushes = 0
const m = await materializer(await openLake({ dir }), {
  onPoint: async (reached) => {
    if (reached === 'staged') flushes += 1
    if (flushes < 2 || reached !== point) return
    process.send?.(point)
    await new Promise(() => setInterval(() => undefined, 1_000))
  },
})
const assignment = claimOf(topics.events, 0)
const from = await m.assigned(assignment)
const records = Array.from({ length: 10 }, (_, i) => record(topics.events, from + i, payment(`p${i}`, day)))
await m.batch(assignment, batchOf(records.slice(0, 5)))
await m.flush()
await m.batch(assignment, batchOf(records.slice(5)))
await m.flush()
