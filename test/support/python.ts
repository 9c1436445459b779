import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'
import { knownMissing } from './missing.ts'

/** The interpreter of the training's own environment. */
export const python = join(projectFolder, '.venv/bin/python')
/** Where the programs of the clients that we did not write are: their own environment. */
export const clientPrograms = join(projectFolder, '.cache/clients/bin')
/** The first set-up of the training downloads about 150 MB. */
const setupTimeoutMs = 900_000

/**
 * Null when the training's Python environment is there or could be made, else the reason to skip. With CI=true a
 * missing one is a failure: `describe.skipIf((await pythonAvailable()) !== null)`.
 */
export function pythonAvailable(): Promise<string | null> {
  return available('training', 'scripts/training/setup')
}

/** The same for the environment of the clients. */
export function clientsAvailable(): Promise<string | null> {
  return available('clients', 'test/clients/setup')
}

async function available(what: string, script: string, parameters: readonly string[] = []): Promise<string | null> {
  const reason = knownMissing('Python') ?? (await setUp(what, script, parameters))
  if (reason !== null && process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

/** The interpreter of an environment with the libraries that other people's models come from. */
export const makersPython = join(projectFolder, '.venv-makers/bin/python')

/** {@link pythonAvailable} for {@link makersPython}. */
export function makersAvailable(): Promise<string | null> {
  const requirements = join(projectFolder, 'test/support/makers-requirements.txt')
  return available('model makers', 'scripts/python/setup', [requirements, join(projectFolder, '.venv-makers')])
}

async function setUp(what: string, script: string, parameters: readonly string[]): Promise<string | null> {
  try {
    await promisify(execFile)(join(projectFolder, script), parameters, { timeout: setupTimeoutMs })
    return null
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    const lastLine = stderr.split('\n').at(-1) ?? ''
    const said = lastLine === '' ? String(error) : lastLine
    return `the Python environment of the ${what} could not be made: ${said}`
  }
}
