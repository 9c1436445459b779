import { access } from 'node:fs/promises'

/** Keeps the event loop of this process busy: no timer fires and no socket is read meanwhile. */
export function block(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

/** Work that another thread has done at once, on a loop that is too busy to hear of it for so long. */
export async function heardAfter(ms: number): Promise<void> {
  // After an immediate come the timers, and only then what other threads and sockets have brought.
  await new Promise(setImmediate)
  const done = access('.')
  block(ms)
  await done
}
