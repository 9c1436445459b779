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

test('a load that begins while another is under way is a command of its own', async () => {
  const { store, commands } = countingStore()
  await store.load([key('a')])
  await store.load([key('b')])
  expect(commands).toEqual([['a'], ['b']])
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
