import { expect, test } from 'vitest'
import { nextRun } from '../../../../src/app/roles/lifecycle/next-run.ts'

/** Runs that end when they are told to. */
function runs() {
  const ends: ((result: number | Error) => void)[] = []
  const run = () =>
    new Promise<number>((resolve, reject) => {
      ends.push((result) => (result instanceof Error ? reject(result) : resolve(result)))
    })
  return { ends, next: nextRun(run) }
}

test('a caller gets the result of a run that begins after the call, and callers meanwhile share the next one', async () => {
  const { ends, next } = runs()
  const first = next()
  const [second, third] = [next(), next()]
  expect(ends).toHaveLength(1)
  ends[0]?.(1)
  expect(await first).toBe(1)
  await new Promise(setImmediate)
  expect(ends).toHaveLength(2)
  ends[1]?.(2)
  expect(await Promise.all([second, third])).toEqual([2, 2])
  const fourth = next()
  ends[2]?.(3)
  expect(await fourth).toBe(3)
})

test('a run that fails fails its own callers, and the next one begins', async () => {
  const { ends, next } = runs()
  const first = next()
  const second = next()
  ends[0]?.(new Error('no answer'))
  await expect(first).rejects.toThrow('no answer')
  await new Promise(setImmediate)
  ends[1]?.(2)
  expect(await second).toBe(2)
})
