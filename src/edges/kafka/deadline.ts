/** Waits until the work has settled, but not longer than this; answers whether it has. Its rejection passes through. */
export async function within(timeoutMs: number, work: Promise<unknown> | undefined): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), timeoutMs)))
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), timeout])
  } finally {
    clearTimeout(timer)
  }
}
