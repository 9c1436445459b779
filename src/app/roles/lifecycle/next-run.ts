/**
 * Answers the result of a run that begins after the call: one under way may have read before its caller did. Concurrent
 * callers share a run.
 */
export function nextRun<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | null = null
  let next: Promise<Result> | null = null
  const begin = (): Promise<Result> => {
    next = null
    const begun = run().finally(() => {
      if (running === begun) running = null
    })
    running = begun
    return begun
  }
  return () => {
    if (running === null) return begin()
    next ??= running.then(begin, begin)
    return next
  }
}
