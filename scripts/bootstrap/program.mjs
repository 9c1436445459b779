import { pathToFileURL } from 'node:url'
import { isAbsolute, join } from 'node:path'
import { root } from './dependencies.mjs'

/**
 * Becomes the TypeScript program `entry` (relative to the repository): same process, so streams, signals and the exit
 * code are the program's own. Child processes that it forks load TypeScript too.
 */
export async function becomeProgram(entry, args) {
  const path = isAbsolute(entry) ? entry : join(root, entry)
  process.argv = [process.execPath, path, ...args]
  process.execArgv = [...process.execArgv, '--import', import.meta.resolve('tsx')]
  await import('tsx')
  await import(pathToFileURL(path).href)
}
