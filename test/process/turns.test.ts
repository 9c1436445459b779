import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Turns, type Turn } from '../../src/process/turns.ts'
import { eventually } from '../support/wait.ts'

const { signal } = new AbortController()

/** A clock whose sleepers wake when the test says so. */
function sleepers() {
  const asleep: (() => void)[] = []
  const sleep = () => new Promise<void>((resolve) => asleep.push(resolve))
  return { clock: { nowMs: () => 0, sleep }, asleep }
}

/** Asks for a turn, and notes the name once it has it. */
function asking(turns: Turns, begun: string[]) {
  return async (name: string, records = 1, until = signal) => {
    const turn = await turns.take(records, until)
    begun.push(name)
    return turn
  }
}

it('lets batches of so many events run, and the others in the order in which they came', async () => {
  const begun: string[] = []
  const take = asking(new Turns(2, sleepers().clock), begun)
  const [first, , third, fourth] = [take('a'), take('b'), take('c'), take('d')]
  const turn = await first
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b'])
  turn.end()
  turn.end()
  await third
  expect(begun, 'a turn that is ended twice is one turn').toEqual(['a', 'b', 'c'])
  ;(await third).end()
  await fourth
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
})

it('small batches run beside a large one, and one that is larger than all that fits runs alone', async () => {
  const begun: string[] = []
  const take = asking(new Turns(10, sleepers().clock), begun)
  const [large, small] = [await take('large', 7), await take('small', 3)]
  const huge = take('huge', 1_000)
  const behind = take('behind', 1)
  large.end()
  await Promise.resolve()
  expect(begun, 'a small one does not overtake').toEqual(['large', 'small'])
  small.end()
  await huge
  expect(begun).toEqual(['large', 'small', 'huge'])
  ;(await huge).end()
  await behind
})

it('a batch that waits to try again holds up no other, and takes no turn back', async () => {
  const begun: string[] = []
  const { clock, asleep } = sleepers()
  const take = asking(new Turns(1, clock), begun)
  const trying = await take('trying')
  const next = take('next')
  const slept = trying.clock.sleep(1, signal)
  ;(await next).end()
  expect(begun).toEqual(['trying', 'next'])
  await eventually(() => asleep.length === 1, { deadlineMs: 10_000, what: 'it sleeps' })
  asleep[0]?.()
  await slept
  trying.end()
  const [one, other] = [take('one'), take('other')]
  await one
  await Promise.resolve()
  expect(begun, 'there is still one turn').toEqual(['trying', 'next', 'one'])
  ;(await one).end()
  await other
})

it('a batch whose assignment ends before its turn comes is fenced, and costs the others nothing', async () => {
  const begun: string[] = []
  const take = asking(new Turns(1, sleepers().clock), begun)
  const first = await take('first')
  const [ending, ended] = [new AbortController(), new AbortController()]
  ended.abort()
  const lost = take('lost', 1, ending.signal)
  const next = take('next')
  ending.abort()
  await expect(lost).rejects.toMatchObject({ code: 'fenced' })
  await expect(take('late', 1, ended.signal)).rejects.toMatchObject({ code: 'fenced' })
  first.end()
  await next
  expect(begun).toEqual(['first', 'next'])
})

/** What happens next: a batch asks, one that runs ends or sleeps, or the assignment of one that was asked for ends. */
const happening = fc.oneof(
  fc.record({ kind: fc.constant('ask' as const), records: fc.integer({ min: 1, max: 14 }) }),
  fc.record({ kind: fc.constantFrom('end' as const, 'sleep' as const, 'abort' as const), which: fc.nat() }),
)

it('in any order of batches, ends, pauses and lost assignments: never too many events at once, and everyone gets on', async () => {
  const recordsMax = 10
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
      const turns = new Turns(recordsMax, sleepers().clock)
      const running = new Map<Turn, number>()
      const asked: { readonly ending: AbortController; readonly done: Promise<void> }[] = []
      const settled = () => new Promise((resolve) => setImmediate(resolve))
      const over = (turn: Turn, how: 'end' | 'sleep') => {
        running.delete(turn)
        // A batch that has slept ends its turn again when it is done.
        if (how === 'sleep') void turn.clock.sleep(1, signal)
        turn.end()
      }
      const ask = (records: number) => {
        const ending = new AbortController()
        const begun = turns.take(records, ending.signal).then((turn) => void running.set(turn, records))
        asked.push({ ending, done: begun.catch(() => undefined) })
      }
      for (const one of happenings) {
        const turn = one.kind === 'ask' ? undefined : [...running.keys()][one.which % Math.max(1, running.size)]
        if (one.kind === 'ask') ask(one.records)
        else if (one.kind === 'abort') asked[one.which % Math.max(1, asked.length)]?.ending.abort()
        else if (turn !== undefined) over(turn, one.kind)
        await settled()
        const together = [...running.values()].reduce((sum, records) => sum + records, 0)
        expect(together <= recordsMax || running.size === 1, `${[...running.values()].join(' and ')} run`).toBe(true)
      }
      let isDone = false
      const all = Promise.all(asked.map(({ done }) => done)).then(() => (isDone = true))
      for (let round = 0; round <= asked.length; round += 1) {
        for (const turn of running.keys()) over(turn, 'end')
        await settled()
      }
      expect(isDone, 'none waits for ever').toBe(true)
      await all
      for (const turn of running.keys()) over(turn, 'end')
      ask(recordsMax)
      ask(1)
      await settled()
      expect([...running.values()], 'every turn was given back').toEqual([recordsMax])
    }),
  )
})
