import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isRiverbankError } from '../../src/base/errors.ts'
import type { EntityKey, StateStore } from '../../src/ports/states.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { blob, customer, sequenceOf, write } from './state-probe.ts'

/** A server, or several, with the means to hurt them. All stores that `open` gives are independent of each other. */
export interface StateStoreFixture {
  open(namespace: string): Promise<StateStore>
  /** The process that holds an entity; everything acknowledged is on its disk. */
  holderOf(namespace: string, key: EntityKey): Promise<TestRedis>
  /** Milliseconds that a state still has. */
  ttlMs(namespace: string, key: EntityKey): Promise<number>
  /** Forgets everything, under connections that go on. */
  empty(): Promise<void>
  /** Starts whatever was killed; resolves when all of it works. */
  restart(): Promise<void>
  killAll(): Promise<void>
  cleanup(): Promise<void>
}

interface StoreCase {
  readonly fixture: () => StateStoreFixture
  /** Its own for each case. */
  readonly namespace: () => string
  readonly open: (namespace?: string) => Promise<StateStore>
}

const deadlineMs = 30_000

/** The contract of {@link StateStore}, as cases to run on real servers. `skip` is the reason why not, or null. */
export function stateStoreContract(
  name: string,
  makeFixture: () => Promise<StateStoreFixture>,
  skip: string | null,
): void {
  describe.skipIf(skip !== null)(`state store: ${name}`, () => {
    let fixture: StateStoreFixture
    let cases = 0
    const stores: StateStore[] = []
    beforeAll(async () => {
      fixture = await makeFixture()
    })
    beforeEach(() => {
      cases += 1
    })
    afterEach(async () => {
      await Promise.all(stores.splice(0).map((store) => store.close()))
    })
    afterAll(() => fixture.cleanup())
    const namespace = () => `test-${cases}`
    const open = async (own = namespace()): Promise<StateStore> => {
      const store = await fixture.open(own)
      stores.push(store)
      return store
    }
    const storeCase: StoreCase = { fixture: () => fixture, namespace, open }
    stateCases(storeCase)
    positionCases(storeCase)
    lossCases(storeCase)
  })
}

function stateCases({ fixture, namespace, open }: StoreCase): void {
  it('loads in the order of the keys, also more than one command takes', async () => {
    const store = await open()
    const keys = Array.from({ length: 1_201 }, (_, i) => customer(`c${i}`))
    const odd = keys.filter((_, i) => i % 2 === 1)
    expect(await store.load([])).toEqual([])
    expect(await store.load(keys)).toEqual(keys.map(() => null))
    const written = await store.compareAndSet(odd.map((key, i) => write(key, null, blob(i, 7, key.id))))
    expect(written).toEqual(odd.map(() => true))
    const found = await store.load(keys)
    for (const [i, key] of keys.entries()) {
      const text = found[i] === null ? null : Buffer.from(found[i]?.subarray(13) ?? []).toString()
      expect(text).toBe(i % 2 === 1 ? key.id : null)
    }
  })

  it('writes where the version is the expected one, each key by itself', async () => {
    const store = await open()
    const [a, b, c, d] = [customer('a'), customer('b'), { entity: 'terminal', id: 'a' }, customer('ü{x}')]
    const first = blob(1, 11)
    expect(await store.compareAndSet([write(a, null, first), write(b, null, first)])).toEqual([true, true])
    const second = blob(2, 22)
    const answers = await store.compareAndSet([
      write(a, first, second),
      write(b, blob(1, 99), second),
      write(c, first, second),
      write(d, null, second),
    ])
    expect(answers).toEqual([true, false, false, true])
    const found = await store.load([a, b, c, d])
    expect(found.map((bytes) => (bytes === null ? null : sequenceOf(bytes)))).toEqual([2, 1, null, 2])
    expect(await store.compareAndSet([write(a, null, blob(3, 33))])).toEqual([false])
  })

  it('takes a write that is there already for done: its reply was lost', async () => {
    const store = await open()
    const [before, after] = [blob(1, 1), blob(2, 2)]
    await store.compareAndSet([write(customer('a'), null, before)])
    expect(await store.compareAndSet([write(customer('a'), before, after)])).toEqual([true])
    expect(await store.compareAndSet([write(customer('a'), before, after)])).toEqual([true])
    expect(await store.compareAndSet([write(customer('a'), before, blob(2, 3))])).toEqual([false])
  })

  it('lets exactly one of many writers win each version', async () => {
    const writers = await Promise.all([open(), open(), open(), open()])
    const key = customer('contended')
    let won = 0
    await Promise.all(
      writers.map(async (store, writer) => {
        for (let attempt = 0; attempt < 100; attempt += 1) {
          const [before] = await store.load([key])
          const sequence = before === null || before === undefined ? 0 : sequenceOf(before)
          const [ok] = await store.compareAndSet([
            write(key, before ?? null, blob(sequence + 1, writer * 1_000 + attempt)),
          ])
          if (ok === true) won += 1
        }
      }),
    )
    const [last] = await writers[0].load([key])
    expect(won).toBeGreaterThanOrEqual(100)
    expect(last === null || last === undefined ? 0 : sequenceOf(last)).toBe(won)
  })

  it('expects nothing only where there is nothing, whatever stands there', async () => {
    const store = await open()
    const zeros = blob(0)
    expect(await store.compareAndSet([write(customer('a'), null, zeros)])).toEqual([true])
    expect(await store.compareAndSet([write(customer('a'), null, blob(1))])).toEqual([false])
    expect((await store.load([customer('a')]))[0]).toEqual(Buffer.from(zeros))
  })

  it.each([0, -1, 0.5, NaN, Infinity, 2 ** 63])(
    'writes nothing of a call with a time to live of %s ms',
    async (ttlMs) => {
      const store = await open()
      const keys = [customer('a'), customer('b')]
      const writes = [write(customer('a'), null, blob(1)), { ...write(customer('b'), null, blob(1)), ttlMs }]
      await expect(store.compareAndSet(writes)).rejects.toThrow()
      expect(await store.load(keys)).toEqual([null, null])
    },
  )

  it('lets states expire', async () => {
    const store = await open()
    await store.compareAndSet([{ ...write(customer('a'), null, blob(1)), ttlMs: 60 }])
    expect(await fixture().ttlMs(namespace(), customer('a'))).toBeLessThanOrEqual(60)
    await eventually(async () => (await store.load([customer('a')]))[0] === null, { deadlineMs: 5_000 })
    expect(await store.compareAndSet([write(customer('a'), null, blob(9))])).toEqual([true])
  })
}

function positionCases({ fixture, namespace, open }: StoreCase): void {
  it('raises a position only where it is still as high as it was known to be', async () => {
    const store = await open()
    expect(await store.advance('events', 0, 5)).toBe(true)
    expect(await store.advance('events', 0, 7, 5)).toBe(true)
    expect(await store.advance('events', 0, 6, 7), 'known, and not lowered').toBe(true)
    await fixture().empty()
    expect(await store.advance('events', 0, 9, 7), 'emptied').toBe(false)
    expect(await store.positions('events')).toEqual(new Map())
  })

  it('notices that it was emptied and filled again, however far', async () => {
    const [sleeper, reader, other] = [await open(), await open(), await open()]
    await sleeper.advance('events', 0, 5)
    await reader.positions('events')
    const epochs = [sleeper.epoch, reader.epoch]
    await fixture().empty()
    await other.advance('events', 0, 9)
    expect(await sleeper.advance('events', 0, 6, 5), 'at 9, in another life').toBe(false)
    expect(await reader.positions('events')).toEqual(new Map([[0, 9]]))
    expect(sleeper.epoch).toBeGreaterThan(epochs[0] ?? NaN)
    expect(reader.epoch).toBeGreaterThan(epochs[1] ?? NaN)
    // From now on it knows the other life.
    const { epoch } = sleeper
    expect(await sleeper.advance('events', 0, 10, 9)).toBe(true)
    expect(await other.positions('events')).toEqual(new Map([[0, 10]]))
    expect([sleeper.epoch, other.epoch]).toEqual([epoch, epochs[1]])
  })

  it('raises positions and never lowers them', async () => {
    const [store, other] = [await open(), await open()]
    expect(await store.positions('events')).toEqual(new Map())
    await store.advance('events', 0, 10)
    await Promise.all([other.advance('events', 0, 7), store.advance('events', 1, 3), other.advance('events', 0, 12)])
    await store.advance('events', 0, 11)
    expect(await store.positions('events')).toEqual(
      new Map([
        [0, 12],
        [1, 3],
      ]),
    )
    expect(await store.positions('others')).toEqual(new Map())
  })

  it('keeps layouts and metadata, and keeps namespaces apart', async () => {
    const [store, other, apart] = [await open(), await open(), await open(`${namespace()}-apart`)]
    expect(await store.layouts()).toEqual(new Map())
    await store.keepLayouts(new Map())
    await Promise.all([
      store.keepLayouts(new Map([[0xffff_fff0, '{"a":1}']])),
      other.keepLayouts(new Map([[7, '{"b":2}']])),
    ])
    const kept = new Map([
      [7, '{"b":2}'],
      [0xffff_fff0, '{"a":1}'],
    ])
    expect(await store.layouts()).toEqual(kept)
    expect(await other.layouts()).toEqual(kept)
    expect(await store.metadata('owner')).toBeNull()
    const answers = await Promise.all([
      store.replaceMetadata('owner', null, 'aaa'),
      other.replaceMetadata('owner', null, 'bbb'),
    ])
    expect(answers.filter(Boolean)).toHaveLength(1)
    const winner = answers[0] ? 'aaa' : 'bbb'
    expect(await other.metadata('owner')).toBe(winner)
    expect(await store.replaceMetadata('owner', 'ccc', 'ddd')).toBe(false)
    expect(await store.replaceMetadata('owner', null, winner), 'the reply of an earlier try was lost').toBe(true)
    expect(await store.replaceMetadata('owner', winner, null)).toBe(true)
    expect(await store.metadata('owner')).toBeNull()
    await store.replaceMetadata('owner', null, 'aaa')
    await store.compareAndSet([write(customer('a'), null, blob(1))])
    expect(await apart.load([customer('a')])).toEqual([null])
    expect(await apart.layouts()).toEqual(new Map())
    expect(await apart.metadata('owner')).toBeNull()
  })
}

function lossCases({ fixture, namespace, open }: StoreCase): void {
  it('says state_unavailable while the server is gone, and goes on with a new epoch when it is back', async () => {
    const store = await open()
    const first = blob(1, 1)
    await store.compareAndSet([write(customer('a'), null, first)])
    const { epoch } = store
    await (await fixture().holderOf(namespace(), customer('a'))).kill()
    const failure: unknown = await eventually(
      () =>
        store.load([customer('a')]).then(
          () => null,
          (error: unknown) => error,
        ),
      { deadlineMs: 5_000 },
    )
    expect(isRiverbankError(failure, 'state_unavailable') && failure.canRetry).toBe(true)
    await fixture().restart()
    // The script is unknown to the new process: it is sent again.
    const done = await eventually(() => store.compareAndSet([write(customer('a'), first, blob(2, 2))]), { deadlineMs })
    expect(done).toEqual([true])
    expect(store.epoch).toBeGreaterThan(epoch)
  })

  it('shows a lost tail: the version that was acknowledged is not there any more, nor is the position', async () => {
    const store = await open()
    const [kept, lost] = [blob(1, 1, 'kept'), blob(2, 2, 'lost')]
    await store.keepLayouts(new Map([[1, '{}']]))
    await store.compareAndSet([write(customer('a'), null, kept)])
    await store.advance('events', 0, 5)
    const server = await fixture().holderOf(namespace(), customer('a'))
    const log = appendOnlyFile(server.dir)
    const { size } = statSync(log)
    await store.compareAndSet([write(customer('a'), kept, lost)])
    await store.advance('events', 0, 9)
    await server.kill()
    truncateSync(log, size)
    await fixture().restart()
    const found = await eventually(() => store.load([customer('a')]), { deadlineMs })
    expect(Buffer.from(found[0]?.subarray(13) ?? []).toString()).toBe('kept')
    expect(await store.positions('events')).toEqual(new Map([[0, 5]]))
    expect(await store.layouts(), 'older than the states').toEqual(new Map([[1, '{}']]))
    expect(await store.compareAndSet([write(customer('a'), lost, blob(3, 3))])).toEqual([false])
    // Another history that reaches the same number is another version.
    await store.compareAndSet([write(customer('a'), kept, blob(2, 20))])
    expect(await store.compareAndSet([write(customer('a'), lost, blob(3, 3))])).toEqual([false])
  })

  it('rejects when there is no server to connect to', async () => {
    await fixture().killAll()
    await expect(fixture().open(namespace())).rejects.toMatchObject({ code: 'state_unavailable', canRetry: true })
    await fixture().restart()
  })
}

function appendOnlyFile(dir: string): string {
  const folder = join(dir, 'appendonlydir')
  const name = readdirSync(folder).find((file) => file.endsWith('.incr.aof'))
  if (name === undefined) throw new Error(`no append-only file in ${folder}`)
  return join(folder, name)
}
