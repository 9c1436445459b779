/**
 * Aborted with `stop`, and after so many milliseconds. Not made by AbortSignal.any: that knows its sources weakly, and a
 * time-out that nobody else knows is collected before it comes.
 */
export function withTimeLimit(stop: AbortSignal, limitMs: number): AbortSignal {
  const ending = new AbortController()
  const timer = setTimeout(() => ending.abort(), limitMs)
  const end = () => {
    clearTimeout(timer)
    ending.abort(stop.reason)
  }
  if (stop.aborted) end()
  else stop.addEventListener('abort', end, { once: true })
  return ending.signal
}
