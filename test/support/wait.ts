import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  readonly deadlineMs: number
  readonly everyMs?: number
  /** What is waited for, for the message of the failure. */
  readonly what?: string
}

/**
 * Waits until `condition` answers something truthy and answers that. A condition that throws (a failed expectation)
 * counts as not yet; at the deadline its last error is the cause of the failure.
 */
export async function eventually<Value>(
  condition: () => Value | Promise<Value>,
  options: EventuallyOptions,
): Promise<Value> {
  const deadline = Date.now() + options.deadlineMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) {
      const what = options.what ?? condition.toString()
      const why = last instanceof Error ? `: ${last.message}` : ''
      throw new Error(`not within ${options.deadlineMs} ms: ${what}${why}`, { cause: last })
    }
    await sleep(options.everyMs ?? 10)
  }
}
