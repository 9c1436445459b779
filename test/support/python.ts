import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { knownMissing } from './missing.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The interpreter of the training's own environment. */
export const python = `${root}.venv/bin/python`
/** The first set-up downloads about 150 MB. */
const setupTimeoutMs = 300_000

/**
 * Null when the training's Python environment is there or could be made, else the reason to skip. With CI=true a
 * missing one is a failure: `describe.skipIf((await pythonAvailable()) !== null)`.
 */
export async function pythonAvailable(): Promise<string | null> {
  const reason = knownMissing('Python') ?? (await setUp())
  if (reason !== null && process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

/** The interpreter of an environment with the libraries that other people's models come from. */
export const makersPython = `${root}.venv-makers/bin/python`

/** {@link pythonAvailable} for {@link makersPython}. */
export async function makersAvailable(): Promise<string | null> {
  const reason = knownMissing('Python') ?? (await setUp(`${root}test/support/makers-requirements.txt`, '.venv-makers'))
  if (reason !== null && process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

async function setUp(...parameters: readonly string[]): Promise<string | null> {
  try {
    await promisify(execFile)(`${root}scripts/training/setup`, parameters, { timeout: setupTimeoutMs })
    return null
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    const lastLine = stderr.split('\n').at(-1) ?? ''
    const said = lastLine === '' ? String(error) : lastLine
    return `the Python environment of the training could not be made: ${said}`
  }
}
