import type { EntityKey, StateStore } from '../../ports/states.ts'

type States = Pick<StateStore, 'load' | 'layouts'>
type Blobs = readonly (Uint8Array | null)[]

interface Asked {
  readonly keys: readonly EntityKey[]
  readonly resolve: (blobs: Blobs) => void
  readonly reject: (error: unknown) => void
}

/**
 * Loads what several requests ask for with one command, which costs about what the command of one request does: those of
 * one turn of the event loop, and those that came while the command before was under way. A load waits for one other at
 * most. For a store on one server: where one load fails, each does.
 */
export function sharedLoads(store: States): States {
  let asked: Asked[] = []
  let isLoading = false
  const loadAsked = async (): Promise<void> => {
    while (asked.length > 0) {
      const all = asked
      asked = []
      try {
        const blobs = await store.load(all.flatMap(({ keys }) => keys))
        let from = 0
        for (const { keys, resolve } of all) {
          resolve(blobs.slice(from, from + keys.length))
          from += keys.length
        }
      } catch (error) {
        for (const { reject } of all) reject(error)
      }
    }
    isLoading = false
  }
  return {
    load: (keys) =>
      new Promise((resolve, reject) => {
        asked.push({ keys, resolve, reject })
        if (isLoading) return
        isLoading = true
        // Node handles the sockets that have something to read before its immediates.
        setImmediate(() => void loadAsked())
      }),
    layouts: () => store.layouts(),
  }
}
