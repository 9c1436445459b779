import { expect, test } from 'vitest'
import { openLoop } from '../../scripts/bench/open-loop.ts'
import { ScoreWatch } from '../../scripts/bench/score-watch.ts'
import { traffic } from '../../scripts/bench/growth/traffic.ts'
import { isPayment } from '../../features/simulator/payment-events.ts'
import { RiverbankError } from '../../src/base/errors.ts'

const never = new AbortController().signal
const payments = 40
const events = () => traffic({ idPrefix: 'p-', payments, draw: () => ({ customer: 1, terminal: 2 }) })
const options = { topic: 'events', partitions: 1, ratePerSecond: 2_000, signal: never }

test('the schedule goes on while the log stands still: every payment is due at its own time, and none is lost', async () => {
  const intended: number[] = []
  const published: string[] = []
  let answer: () => void = () => undefined
  const allIntended = new Promise<void>((resolve) => (answer = resolve))
  await openLoop(
    events(),
    async (records) => {
      // A log that answers its first batch only once all payments were due.
      await allIntended
      published.push(...records.map(({ value }) => (JSON.parse(String(value)) as { id: string }).id))
    },
    {
      ...options,
      onIntended: (_, intendedMs) => {
        intended.push(intendedMs)
        if (intended.length === payments) answer()
      },
    },
  )
  const start = intended[0] ?? NaN
  expect(intended.map((ms) => ms - start)).toEqual(
    Array.from({ length: payments }, (_, n) => expect.closeTo((n * 1_000) / options.ratePerSecond, 6) as number),
  )
  expect(published).toEqual([...events()].filter(isPayment).map(({ eventId }) => eventId))
})

test('an error of the log that no retry mends ends the loop with that error', async () => {
  const refused = new RiverbankError('log_refused', 'no right to write')
  const loop = openLoop(events(), () => Promise.reject(refused), { ...options, onIntended: () => undefined })
  await expect(loop).rejects.toBe(refused)
})

test('a score counts once, by its cause, from the time at which its payment was due; the first ones warm up', async () => {
  const watch = new ScoreWatch(1)
  const due = performance.now() - 50
  for (const id of ['first', 'second', 'third']) watch.intended(id, due)
  const score = (cause: string) => Buffer.from(`{"id":"x","causationid":"${cause}","data":{}}`)
  for (const cause of ['second', 'second', 'first', 'stranger']) watch.take(score(cause))
  expect(watch.waits.totalCount).toBe(1)
  expect(watch.waits.minNonZeroValue).toBeGreaterThanOrEqual(49_000)
  await expect(watch.untilAnswered(0, never)).rejects.toMatchObject({ code: 'unanswered' })
  watch.take(score('third'))
  await watch.untilAnswered(0, never)
  expect(watch.waits.totalCount).toBe(2)
})
