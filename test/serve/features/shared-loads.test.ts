import { expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import type { EntityKey } from '../../../src/ports/states.ts'
import { sharedLoads } from '../../../src/serve/features/shared-loads.ts'

const key = (id: string): EntityKey => ({ entity: 'customer', id })
const blobOf = ({ id }: EntityKey) => (id.startsWith('unseen') ? null : new TextEncoder().encode(id))

function countingStore(fail?: Error) {
  const commands: string[][] = []
  const store = sharedLoads({
    load: async (keys) => {
      commands.push(keys.map(({ id }) => id))
      // The reply of a server comes in a later turn.
      await new Promise(setImmediate)
      if (fail !== undefined) throw fail
      return keys.map(blobOf)
    },
    layouts: async () => new Map(),
  })
  return { store, commands }
}

test('loads of one turn of the event loop are one command, and each has its own answer', async () => {
  const { store, commands } = countingStore()
  const asked = [[key('a')], [], [key('b'), key('unseen-1'), key('a')]]
  const answers = await Promise.all(asked.map((keys) => store.load(keys)))
  expect(commands).toEqual([['a', 'b', 'unseen-1', 'a']])
  expect(answers).toEqual(asked.map((keys) => keys.map(blobOf)))
})

test('loads that come while a command is under way are one command after it', async () => {
  const { store, commands } = countingStore()
  const first = store.load([key('a')])
  await new Promise(setImmediate)
  expect(commands).toEqual([['a']])
  const others = [store.load([key('b')]), store.load([key('unseen-1'), key('c')])]
  expect(await Promise.all([first, ...others])).toEqual(
    [[key('a')], [key('b')], [key('unseen-1'), key('c')]].map((keys) => keys.map(blobOf)),
  )
  expect(commands).toEqual([['a'], ['b', 'unseen-1', 'c']])
  await store.load([key('d')])
  expect(commands).toHaveLength(3)
})

test('a command that fails fails every load that it was for, and no later one', async () => {
  const lost = new RiverbankError('state_unavailable', 'gone', { canRetry: true })
  const { store } = countingStore(lost)
  const [one, other] = await Promise.allSettled([store.load([key('a')]), store.load([key('b')])])
  expect([one, other]).toEqual([
    { status: 'rejected', reason: lost },
    { status: 'rejected', reason: lost },
  ])
  await expect(store.load([key('c')])).rejects.toBe(lost)
})
