import type { Sleeper } from '../../../process/retry.ts'

export interface Repeated {
  /** Ends the pause, aborts the signal of a running run, and waits for that run. */
  stop(): Promise<void>
}

/** Calls `run` every `everyMs`, one run after the other, until it is stopped; never when 0. `run` must not reject. */
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
