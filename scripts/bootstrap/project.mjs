import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { root } from './dependencies.mjs'

/** What a project imports from the program. */
const doors = { 'riverbank/define': 'src/define/language.js' }

/**
 * The folder that `--project`, RIVERBANK_PROJECT or the record of the data folder names, if it is one outside of the repository:
 * else the build has it anyway.
 */
export function foreignProject(args, env) {
  const at = args.findIndex((arg) => arg === '--project' || arg.startsWith('--project='))
  const given =
    at === -1
      ? env.RIVERBANK_PROJECT || recordedProject(env.RIVERBANK_DATA_DIR || '.riverbank')
      : args[at].includes('=')
        ? args[at].slice('--project='.length)
        : args[at + 1]
  // What is not there is told by the program, in its own words.
  if (given === undefined || given === '' || !existsSync(join(resolve(given), 'index.ts'))) return null
  const folder = realpathSync(resolve(given))
  return isInside(root, folder) ? null : folder
}

/** As src/app/installation/settings/running-installation.ts reads it. */
function recordedProject(dataDir) {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'installation.json'), 'utf8')).project
  } catch {
    return undefined
  }
}

/** Where a build has it: src/app/installation/settings/project.ts looks there. */
export function placeOf(folder) {
  return join('projects', createHash('sha256').update(folder).digest('hex').slice(0, 16))
}

/** Leaves each file by itself, and makes imports those of the build. `project`: the folder of a foreign one, or null. */
export function apart(project) {
  return {
    name: 'apart',
    setup(build) {
      build.onResolve({ filter: /.*/ }, ({ kind, path, importer }) => {
        if (kind === 'entry-point') return undefined
        const door = doors[path]
        const isForeign = project !== null && isInside(project, importer)
        if (door !== undefined) return { path: fromTo(importer, door, project), external: true }
        if (!path.startsWith('.')) return { path, external: true }
        const target = resolve(dirname(importer), path)
        const built = path.replace(/\.ts$/, '.js')
        if (!isForeign || isInside(project, target)) return { path: built, external: true }
        if (isInside(root, target)) {
          return { path: fromTo(importer, relative(root, target).replace(/\.ts$/, '.js'), project), external: true }
        }
        return { errors: [{ text: `${path} is outside of the project: import its own files and riverbank/define` }] }
      })
    },
  }
}

function fromTo(importer, target, project) {
  const isForeign = project !== null && isInside(project, importer)
  const place = isForeign ? join(placeOf(project), relative(project, importer)) : relative(root, importer)
  const path = relative(dirname(place), target)
  return path.startsWith('.') ? path : `./${path}`
}

function isInside(folder, path) {
  const way = relative(folder, path)
  return way === '' || !(way.startsWith('..') || isAbsolute(way))
}
