import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readRunRecord } from '../servers/embedded-redis.ts'
import { environmentName } from './config.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The environment, with what an installation that `npm start` runs in the folder of the data goes by: its embedded Redis,
 * namespace, log, project and settings of the project; where none runs, the last two. Whatever is set stays; without a record nothing changes. For commands that look at an
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

interface Recorded {
  /** PROJECT, and settings of the project. */
  readonly ofProject: Record<string, string>
  readonly place: Record<string, string>
}

const nothing: Recorded = { ofProject: {}, place: {} }

function recorded(dir: string): Recorded {
  try {
    const record = JSON.parse(readFileSync(join(dir, 'installation.json'), 'utf8')) as Record<string, unknown>
    const { namespace, log, project, settings } = record
    if (typeof namespace !== 'string' || typeof log !== 'string') return nothing
    const own = typeof settings === 'object' && settings !== null ? Object.entries(settings) : []
    const texts = [...own, ['PROJECT', project]].filter(([, value]) => typeof value === 'string' && value !== '')
    return { ofProject: Object.fromEntries(texts) as Record<string, string>, place: { NAMESPACE: namespace, LOG: log } }
  } catch {
    // A Redis of somebody else's, or of a run that has just begun.
    return nothing
  }
}
