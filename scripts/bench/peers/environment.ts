import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchJars } from '../../kafka/maven-jars.ts'
import { projectFolder } from '../../../src/app/installation/settings/project-folder.ts'
import { assert, RiverbankError } from '../../../src/base/errors.ts'

const here = join(projectFolder, 'scripts/bench/peers')
/** `.cache` of this repository; the environment variable PEERS_CACHE_DIR replaces it. */
const cache = join(process.env['PEERS_CACHE_DIR'] ?? join(projectFolder, '.cache'), 'peers')
/** The first set-up downloads up to 200 MB. */
const setupTimeoutMs = 900_000

const pom = join(here, 'flink/pom.xml')
const flinkVersion = /<flink\.version>([\d.]+)</.exec(readFileSync(pom, 'utf8'))?.[1]
assert(flinkVersion !== undefined, 'flink/pom.xml names a flink.version')
export const flinkJars: string = join(cache, `flink-${flinkVersion}`)

/** The interpreter of a peer's own environment. */
export function python(peer: 'quix' | 'feast'): string {
  return join(cache, peer, 'bin/python')
}

/** Makes the Python environment of a peer, once. Errors: `peer_missing` with what is missing. */
export async function makePython(peer: 'quix' | 'feast'): Promise<void> {
  const parameters = [join(here, peer, 'requirements.txt'), join(cache, peer)]
  try {
    await promisify(execFile)(join(projectFolder, 'scripts/python/setup'), parameters, { timeout: setupTimeoutMs })
  } catch (error) {
    throw missing(peer, error)
  }
}

/** Fetches Flink's jars, once. Errors: `peer_missing` with what is missing. */
export async function fetchFlink(): Promise<void> {
  try {
    await promisify(execFile)('javac', ['-version'])
    await fetchJars({ pom, dir: flinkJars, main: `flink-table-planner-loader-${flinkVersion}.jar` })
  } catch (error) {
    throw missing('flink', error)
  }
}

function missing(peer: string, error: unknown): RiverbankError {
  if (isMissingCommand(error)) {
    return new RiverbankError('peer_missing', `${peer} needs ${error.path}, which is not on PATH`, { cause: error })
  }
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  const text = said !== '' ? said : error instanceof Error ? error.message : String(error)
  return new RiverbankError('peer_missing', `${peer} could not be installed: ${text}`, { cause: error })
}

function isMissingCommand(error: unknown): error is Error & { readonly path: string } {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT' && 'path' in error
}
