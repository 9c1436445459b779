import { pathToFileURL } from 'node:url'
import { join } from 'node:path'

/**
 * Becomes the program `entry` (such as src/main.ts) of a build: same process, so streams, signals and the exit code are
 * the program's own. Errors name lines of the sources, in what it forks too.
 */
export async function becomeProgram(build, entry, args) {
  const path = join(build, entry.replace(/\.ts$/, '.js'))
  process.argv = [process.execPath, path, ...args]
  process.execArgv = [...process.execArgv, '--enable-source-maps']
  process.setSourceMapsEnabled(true)
  await import(pathToFileURL(path).href)
}
