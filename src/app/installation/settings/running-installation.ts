import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readRunRecord } from '../servers/embedded-redis.ts'
import { environmentName } from './config.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The environment, with what an installation that `npm start` runs in the folder of the data goes by: its embedded Redis,
 * namespace, log, HTTP port, project and settings of the project; where none runs, the last two. Whatever is set stays; without a record nothing changes. For commands that look at an
 * installation, not for roles: those would join it.
 */
export function besideInstallation(env: Environment): Environment {
  const given = (setting: string) => (env[environmentName(setting)] ?? '') !== ''
  if (given('REDIS_URL')) return env
  const dir = env[environmentName('DATA_DIR')] ?? '.riverbank'
  const running = readRunRecord(join(dir, 'redis'))
  const record = recorded(dir)
  // The lake of an installation that is stopped is of its project all the same.
  const found: Record<string, string> =
    running === null
      ? record.ofProject
      : { REDIS_URL: `redis://127.0.0.1:${running.port}`, ...record.ofProject, ...record.place }
  const missing = Object.entries(found).filter(([setting]) => !given(setting))
  return { ...env, ...Object.fromEntries(missing.map(([setting, value]) => [environmentName(setting), value])) }
}

/** `installation.json` of a data folder: what `npm start` began there, as far as others must know it. */
export const installationRecordSchema = z.object({
  namespace: z.string(),
  log: z.enum(['redis', 'kafka']),
  /** Folder of the project; empty for the shipped one. */
  project: z.string().default(''),
  /** Settings of the project, as the first start was told. */
  settings: z.record(z.string(), z.string()).default({}),
  /** Where the run of this moment serves; null where the system chose a port. */
  httpPort: z.number().int().nullable().default(null),
})

interface Recorded {
  /** PROJECT, and settings of the project. */
  readonly ofProject: Readonly<Record<string, string>>
  /** Of a run. */
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
    // A Redis of somebody else's, or of a run that has just begun.
    return nothing
  }
}
