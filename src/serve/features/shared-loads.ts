import type { EntityKey, StateStore } from '../../ports/states.ts'

type States = Pick<StateStore, 'load' | 'layouts'>
type Blobs = readonly (Uint8Array | null)[]

interface Asked {
  readonly keys: readonly EntityKey[]
  readonly resolve: (blobs: Blobs) => void
  readonly reject: (error: unknown) => void
}

/**
 * Loads what the requests of one turn of the event loop ask for with one command: it costs about what the command of
 * one request does. For a store on one server: where one load fails, each does.
 */
export function sharedLoads(store: States): States {
  let asked: Asked[] = []
  const loadAll = async (): Promise<void> => {
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
  return {
    load: (keys) =>
      new Promise((resolve, reject) => {
        // Node handles the sockets that have something to read before its immediates.
        if (asked.length === 0) setImmediate(() => void loadAll())
        asked.push({ keys, resolve, reject })
      }),
    layouts: () => store.layouts(),
  }
}
