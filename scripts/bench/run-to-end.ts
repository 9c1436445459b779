import { isRiverbankError } from '../../src/base/errors.ts'

/**
 * Runs a script's work and ends the process: with exit code 1 and the error on stderr when the work fails. It exits
 * although a library may hold something open.
 */
export async function runToEnd(work: () => Promise<void>): Promise<never> {
  try {
    await work()
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`${isRiverbankError(error) ? `${error.code}: ${error.message}` : text}\n`)
    process.exitCode = 1
  }
  process.exit()
}
