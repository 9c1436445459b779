import { z } from 'zod'
import { environmentName, readConfig, settingSchemas } from '../installation/settings/config.ts'
import { configurationFinding, installationProbes, machineProbes } from './doctor-probes.ts'
import { loadProject, type LoadedProject } from '../installation/settings/project.ts'
import { exitCodeOf, renderChecks, runProbes } from './doctor.ts'
import { table } from '../command-line/table.ts'

/** One probe; each has its own, shorter limits. */
const probeTimeoutMs = 15_000

interface DoctorOptions {
  readonly json?: boolean
  /** Print the settings instead. */
  readonly settings?: boolean
}

/** `riverbank doctor`: checks everything that can be wrong before the first event. Answers 1 if a check failed. */
export async function doctorCommand(env: NodeJS.ProcessEnv, options: DoctorOptions): Promise<number> {
  const project = loadProject(env)
  if (options.settings === true) {
    const settings = settingRows(project)
    process.stdout.write(options.json === true ? `${JSON.stringify(settings)}\n` : table(settings))
    return 0
  }
  const { finding, config } = configurationFinding(() => readConfig(env))
  const probes = [
    ...machineProbes({ project }),
    { name: 'configuration', fix: '', run: () => Promise.resolve(finding) },
    ...(config === null ? [] : installationProbes(config)),
  ]
  const checks = await runProbes(probes, probeTimeoutMs)
  process.stdout.write(options.json === true ? `${JSON.stringify(checks)}\n` : renderChecks(checks))
  return exitCodeOf(checks)
}

const settingSchema = z.object({
  default: z.union([z.string(), z.number()]),
  description: z.string(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  enum: z.array(z.string()).optional(),
})

/** Every setting: its variable, default, limits and purpose. */
export function settingRows(
  project: LoadedProject,
): { name: string; default: string; values: string; about: string }[] {
  const { properties } = z.toJSONSchema(settingSchemas(project), { io: 'output' })
  return Object.entries(properties ?? {}).map(([setting, schema]) => {
    const known = settingSchema.parse(schema)
    const range = known.minimum === undefined ? '' : `${known.minimum} to ${known.maximum}`
    return {
      name: environmentName(setting),
      default: String(known.default),
      values: known.enum?.join(' | ') ?? range,
      about: known.description,
    }
  })
}
