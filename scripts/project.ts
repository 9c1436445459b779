import { resolve } from 'node:path'
import { projectVariable } from '../src/app/installation/settings/project.ts'
import { RiverbankError } from '../src/base/errors.ts'
import type { InstalledProject } from '../src/app/installation/settings/project.ts'
import type { Simulator, SimulatorChoice } from '../src/define/simulator.ts'

export const projectOption = [
  '--project <folder>',
  `of the definitions, models and simulator (default: ${projectVariable}, or the shipped one)`,
] as const

/**
 * Puts the folder that `--project` names into the environment, from which every program reads it. Before the options
 * are parsed: the project may decide which options there are.
 */
export function takeProject(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const at = args.findIndex((arg) => arg === '--project' || arg.startsWith('--project='))
  const given = args[at]?.includes('=') === true ? args[at].slice('--project='.length) : args[at + 1]
  if (at !== -1 && given !== undefined && given !== '') env[projectVariable] = resolve(given)
}

/** The simulator of a project; null for a project that only takes events of others. */
export function findSimulator({ project, projectSettings }: InstalledProject): Simulator | null {
  return project.definition.simulate?.(projectSettings) ?? null
}

/** Errors: `project_without_simulator`. */
export function simulatorOf(installed: InstalledProject): Simulator {
  const simulator = findSimulator(installed)
  if (simulator !== null) return simulator
  const { project } = installed
  throw new RiverbankError(
    'project_without_simulator',
    `${project.folder}: the project ${project.definition.name} has no simulator`,
  )
}

/** The scored types: the simulator sends their events at the requested pace. */
export function scoredTypesOf({ featureSet }: InstalledProject): ReadonlySet<string> {
  return new Set(featureSet.events.filter(({ scored }) => scored !== undefined).map(({ type }) => type))
}

export function defaultChoice({ options }: Simulator): SimulatorChoice {
  return Object.fromEntries(Object.entries(options).map(([name, { byDefault }]) => [name, byDefault]))
}
