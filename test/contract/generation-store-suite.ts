import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Generation } from '../../src/scoring/rollout/generation.ts'
import type { GenerationStore } from '../../src/ports/generations.ts'
import type { StateStore } from '../../src/ports/states.ts'

/** A server, or several: states and generations of one namespace, on connections of their own. */
export interface GenerationStoreFixture {
  openStates(namespace: string): Promise<StateStore>
  open(namespace: string): Promise<GenerationStore>
  /** Forgets everything, under connections that go on. */
  empty(): Promise<void>
  cleanup(): Promise<void>
}

const topic = 'events'

export function generation(number: number, champion = `v${number}`): Generation {
  return { number, champion: { name: 'm', version: champion }, shadows: [], reason: 'test', timeMs: number }
}

/** The contract of {@link GenerationStore}, as cases to run on real servers. */
export function generationStoreContract(
  name: string,
  makeFixture: () => Promise<GenerationStoreFixture>,
  skip: string | null,
): void {
  describe.skipIf(skip !== null)(`generation store: ${name}`, () => {
    let fixture: GenerationStoreFixture
    let cases = 0
    let states: StateStore
    let store: GenerationStore
    let other: GenerationStore
    beforeAll(async () => {
      fixture = await makeFixture()
    })
    beforeEach(async () => {
      cases += 1
      const own = `test-${cases}`
      states = await fixture.openStates(own)
      store = await fixture.open(own)
      other = await fixture.open(own)
    })
    afterEach(() => Promise.all([states, store, other].map((one) => one.close())))
    afterAll(() => fixture.cleanup())
    const numbersOf = async (from: number, partition = 0) =>
      (await store.activations(topic, partition, from)).map(({ offset, generation: { number } }) => [number, offset])

    it('is a list that only grows, one at a time, with several appenders', async () => {
      expect(await store.generations(10)).toEqual([])
      const answers = await Promise.all([store.append(generation(1, 'a')), other.append(generation(1, 'b'))])
      expect(answers.toSorted()).toEqual([false, true])
      const [first] = await store.generations(10)
      expect(await store.append(first as Generation), 'its reply was lost').toBe(true)
      expect(await store.append(generation(3))).toBe(false)
      expect(await store.append(generation(2))).toBe(true)
      expect(await other.append(generation(2, 'late'))).toBe(false)
      expect(await other.generations(10)).toEqual([first, generation(2)])
      expect(await other.generations(1)).toEqual([generation(2)])
    })

    it('activates at the position, once, and never one that is older than what is there', async () => {
      for (const number of [1, 2, 3, 4]) await store.append(generation(number))
      await states.advance(topic, 0, 100)
      expect(await numbersOf(0), 'the first is there from the beginning').toEqual([[1, 0]])
      expect(await store.activate(topic, 0, 2)).toEqual({ generation: 2, offset: 100 })
      await states.advance(topic, 0, 150)
      expect(await other.activate(topic, 0, 2)).toEqual({ generation: 2, offset: 100 })
      expect(await other.activate(topic, 0, 4)).toEqual({ generation: 4, offset: 150 })
      expect(await store.activate(topic, 0, 3)).toEqual({ generation: 4, offset: 150 })
      expect(await store.activate(topic, 0, 5)).toBeNull()
      expect(await numbersOf(150)).toEqual([[4, 150]])
      expect(await numbersOf(149)).toEqual([
        [4, 150],
        [2, 100],
      ])
      expect(await numbersOf(99)).toEqual([
        [4, 150],
        [2, 100],
        [1, 0],
      ])
      expect(await numbersOf(0, 1), 'each partition for itself').toEqual([[1, 0]])
      expect(await store.activate(topic, 1, 2), 'nothing was applied there').toEqual({ generation: 2, offset: 0 })
    })

    it('lets one of many decide where a generation begins, also while the position moves', async () => {
      await store.append(generation(1))
      await store.append(generation(2))
      const answers: unknown[] = []
      await Promise.all([
        ...Array.from({ length: 50 }, (_, i) => states.advance(topic, 0, i + 1)),
        ...Array.from({ length: 50 }, async (_, i) => {
          answers.push(JSON.stringify(await (i % 2 === 0 ? store : other).activate(topic, 0, 2)))
        }),
      ])
      expect(new Set(answers).size).toBe(1)
    })

    it('keeps why a generation was refused', async () => {
      const refusal = { code: 'model_refused', detail: 'hash_mismatch: no', timeMs: 5 }
      await store.refuse(2, { ...refusal, timeMs: 4 })
      await other.refuse(2, refusal)
      expect(await store.refusals()).toEqual(new Map([[2, refusal]]))
    })

    it('says that there is nothing when it was emptied', async () => {
      await store.append(generation(1))
      await store.append(generation(2))
      await store.activate(topic, 0, 2)
      await fixture.empty()
      expect(await store.generations(10)).toEqual([])
      expect(await store.activations(topic, 0, 0)).toEqual([])
      expect(await store.activate(topic, 0, 2)).toBeNull()
    })
  })
}
