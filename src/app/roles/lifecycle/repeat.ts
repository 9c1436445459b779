import type { Sleeper } from '../../../process/retry.ts'

export interface Repeated {
  /** Ends the pause; a run that has begun is told by its signal, and waited for. */
  stop(): Promise<void>
}

/** Work now and then, one run after the other, until it is stopped; never when `everyMs` is 0. `run` must not reject. */
export function repeat(clock: Sleeper, everyMs: number, run: (signal: AbortSignal) => Promise<void>): Repeated {
  if (everyMs === 0) return { stop: () => Promise.resolve() }
  const stopping = new AbortController()
  const loop = async () => {
    for (;;) {
      await clock.sleep(everyMs, stopping.signal)
      if (stopping.signal.aborted) return
      await run(stopping.signal)
    }
  }
  const done = loop()
  return {
    async stop() {
      stopping.abort()
      await done
    },
  }
}
