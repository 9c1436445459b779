import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readRunRecord } from '../servers/embedded-redis.ts'
import { environmentName } from './config.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Adds to the environment the settings of the installation that `npm start` runs in the data folder: its embedded
 * Redis, namespace, log, HTTP port, project and settings of the project; of a stopped one the last two. A variable that
 * is set stays; without a record nothing changes. For commands that look at an installation, not for roles: those would
 * join it.
 */
export function besideInstallation(env: Environment): Environment {
  const given = (setting: string) => (env[environmentName(setting)] ?? '') !== ''
  if (given('REDIS_URL')) return env
  const dir = env[environmentName('DATA_DIR')] ?? '.riverbank'
  const running = readRunRecord(join(dir, 'redis'))
  const record = recorded(dir)
  // The lake of a stopped installation still belongs to its project.
  const found: Record<string, string> =
    running === null
      ? record.ofProject
      : { REDIS_URL: `redis://127.0.0.1:${running.port}`, ...record.ofProject, ...record.place }
  const missing = Object.entries(found).filter(([setting]) => !given(setting))
  return { ...env, ...Object.fromEntries(missing.map(([setting, value]) => [environmentName(setting), value])) }
}

/** `installation.json` of a data folder: the facts about the installation of `npm start` that other programs need. */
export const installationRecordSchema = z.object({
  namespace: z.string(),
  log: z.enum(['redis', 'kafka']),
  /** Folder of the project; empty for the shipped one. */
  project: z.string().default(''),
  /** Settings of the project, as the first start got them. */
  settings: z.record(z.string(), z.string()).default({}),
  /** The HTTP port of the current run; null when the system chose it. */
  httpPort: z.number().int().nullable().default(null),
})

interface Recorded {
  /** PROJECT, and settings of the project. */
  readonly ofProject: Readonly<Record<string, string>>
  /** The servers, namespace and port of a run. */
  readonly place: Readonly<Record<string, string>>
}

const nothing: Recorded = { ofProject: {}, place: {} }

function recorded(dir: string): Recorded {
  try {
    const text = readFileSync(join(dir, 'installation.json'), 'utf8')
    const { namespace, log, project, settings, httpPort } = installationRecordSchema.parse(JSON.parse(text))
    return {
      ofProject: { ...settings, ...(project === '' ? {} : { PROJECT: project }) },
      place: { NAMESPACE: namespace, LOG: log, ...(httpPort === null ? {} : { HTTP_PORT: String(httpPort) }) },
    }
  } catch {
    // Another Redis, or that of a run that has just begun.
    return nothing
  }
}
