import { createHash } from 'node:crypto'
import { existsSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectFolder } from './project-folder.ts'
import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import type { FeatureSet } from '../../../define/feature-set.ts'
import type { Project } from '../../../define/project.ts'
import { isRecord } from '../../../base/record.ts'

export const projectVariable = 'RIVERBANK_PROJECT'
const shippedFolder = 'features'

/** A project, loaded from its folder. */
export interface LoadedProject {
  readonly definition: Project
  /** Absolute. */
  readonly folder: string
  /** The project comes with the program. */
  readonly isShipped: boolean
  /** The committed feature set, from the working directory or the folder of the program. */
  readonly compiledPath: string
}

/** A project as an installation uses it. */
export interface InstalledProject {
  readonly project: LoadedProject
  readonly projectSettings: ProjectSettings
  /** The feature set that these settings give. */
  readonly featureSet: FeatureSet
}

/** Values of a project's own settings. */
export type ProjectSettings = Readonly<Record<string, unknown>>

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The project that the environment names, or the shipped one. Loads each once in a process. Errors: `project_missing`
 * (no such folder, or no index), `project_refused` (the index cannot be loaded or exports no project).
 */
export function loadProject(env: Environment): LoadedProject {
  const named = env[projectVariable] ?? ''
  const folder = named === '' ? join(projectFolder, shippedFolder) : folderNamed(named)
  const isShipped = folder === join(projectFolder, shippedFolder)
  const compiledPath = join(isShipped ? shippedFolder : folder, 'compiled', 'feature-set.json')
  return { definition: projectIn(moduleOf(folder, isShipped), folder), folder, isShipped, compiledPath }
}

function folderNamed(named: string): string {
  const folder = resolve(named)
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new RiverbankError('project_missing', `there is no folder ${folder} (--project, or ${projectVariable})`)
  }
  return realpathSync(folder)
}

/** The project's JavaScript in the build of this program; else the index itself. */
function moduleOf(folder: string, isShipped: boolean): string {
  const build = fileURLToPath(new URL('../../../..', import.meta.url))
  const built = join(build, placeInBuild(folder), 'index.js')
  if (existsSync(built)) return built
  const compiled = join(folder, 'index.js')
  if (existsSync(compiled) && !isShipped) return compiled
  const why = existsSync(join(folder, 'index.ts'))
    ? `${join(folder, 'index.ts')} is not built: name it by --project or ${projectVariable} and start with npm, or compile it to index.js`
    : `${folder} has no index.ts that exports a project`
  throw new RiverbankError('project_missing', `${projectVariable}: ${why}`)
}

const projectCodes = ['project_missing', 'project_refused', 'feature_set_stale']

/** True for a missing or unusable project: the program has started nothing. */
export function isProjectError(error: unknown): boolean {
  return projectCodes.some((code) => isRiverbankError(error, code))
}

/**
 * As in scripts/bootstrap/project.mjs: a project outside of the program's folder has a place of its own in the build.
 */
function placeInBuild(folder: string): string {
  const inside = relative(projectFolder, folder)
  if (inside !== '' && !inside.startsWith('..')) return inside
  return join('projects', createHash('sha256').update(folder).digest('hex').slice(0, 16))
}

const load = createRequire(import.meta.url)

function projectIn(path: string, folder: string): Project {
  const exported = refusing(folder, () => {
    const exports: unknown = load(path)
    return isRecord(exports) ? Object.values(exports) : []
  })
  const [project, ...others] = exported.filter(isProject)
  if (project !== undefined && others.length === 0) return project
  const what = project === undefined ? 'exports no project' : 'exports more than one project'
  throw new RiverbankError('project_refused', `${folder}/index.ts ${what}: export one defineProject({...})`)
}

/**
 * Builds the feature set of a project with its settings. Errors: `project_refused` for a mistake in its definitions.
 */
export function installProject(project: LoadedProject, projectSettings: ProjectSettings): InstalledProject {
  const featureSet = refusing(project.folder, () => {
    const set = project.definition.features(projectSettings)
    const { name } = project.definition.samples.entity
    const names = set.entities.map((entity) => entity.name)
    if (!names.includes(name)) throw new Error(`samples: there is no entity ${name}, but ${names.join(', ')}`)
    return set
  })
  return { project, projectSettings, featureSet }
}

/** Runs the project's code, which throws on a mistake in its definitions. Errors: `project_refused`. */
export function refusing<Result>(folder: string, run: () => Result): Result {
  try {
    return run()
  } catch (error) {
    if (isRiverbankError(error)) throw error
    const [told = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new RiverbankError('project_refused', `${folder}${placeOfMistake(error, folder)}: ${told}`, { cause: error })
  }
}

/** Where the project's code failed by itself: an error of the language names no definition. */
function placeOfMistake(error: unknown, folder: string): string {
  if (!(error instanceof TypeError || error instanceof ReferenceError)) return ''
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
  for (const frame of frames) {
    for (const root of [folder, placeInBuild(folder)]) {
      const [, found] = frame.split(`${root}/`)
      if (found !== undefined) return `/${found.replace(/\)$/, '')} (is a definition used before its file is read?)`
    }
  }
  return ''
}

function isProject(value: unknown): value is Project {
  const kind: Project['kind'] = 'riverbank project'
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind
}
