/**
 * A signal that aborts with `stop`, and after so many milliseconds. Not made by AbortSignal.any, which refers to its
 * sources weakly: the time-out, without another reference, would be collected before it fires.
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
