import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readRunRecord } from './embedded-redis.ts'
import { environmentName } from './config.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The environment, with what an installation that `npm start` runs in the folder of the data goes by: its embedded Redis,
 * namespace, log and currency. Whatever is set stays; without such an installation nothing changes. For commands that look at an
 * installation, not for roles: those would join it.
 */
export function besideInstallation(env: Environment): Environment {
  const given = (setting: string) => (env[environmentName(setting)] ?? '') !== ''
  if (given('REDIS_URL')) return env
  const dir = env[environmentName('DATA_DIR')] ?? '.riverbank'
  const running = readRunRecord(join(dir, 'redis'))
  if (running === null) return env
  const found: Record<string, string> = { REDIS_URL: `redis://127.0.0.1:${running.port}`, ...recorded(dir) }
  const missing = Object.entries(found).filter(([setting]) => !given(setting))
  return { ...env, ...Object.fromEntries(missing.map(([setting, value]) => [environmentName(setting), value])) }
}

function recorded(dir: string): Record<string, string> {
  try {
    const record = JSON.parse(readFileSync(join(dir, 'installation.json'), 'utf8')) as Record<string, unknown>
    const { namespace, log, currency } = record
    if (typeof namespace !== 'string' || typeof log !== 'string') return {}
    return { NAMESPACE: namespace, LOG: log, ...(typeof currency === 'string' ? { CURRENCY: currency } : {}) }
  } catch {
    // A Redis of somebody else's, or of a run that has just begun.
    return {}
  }
}
