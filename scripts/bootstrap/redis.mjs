import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runChild } from './child.mjs'

const binaries = ['redis-server', 'valkey-server']
const advice =
  'no redis-server or valkey-server here: install one (Debian, Ubuntu: apt-get install redis-server; ' +
  'macOS: brew install redis; Fedora: dnf install valkey) or set REDIS_URL'

/** The path of a server binary on the PATH, or null. */
export function findRedis(path = process.env.PATH ?? '') {
  for (const name of binaries) {
    for (const folder of path.split(delimiter).filter((f) => f !== '')) {
      const candidate = join(folder, name)
      try {
        accessSync(candidate, constants.X_OK)
        return candidate
      } catch {
        // Not in this folder.
      }
    }
  }
  return null
}

/**
 * Null when there is a Redis to work with: REDIS_URL, a binary, or one that could be installed (root on Debian).
 * Else one line that says what to install. `policy` is the file that tells Debian to start no services.
 */
export async function ensureRedis(env = process.env, policy = '/usr/sbin/policy-rc.d') {
  if ((env.REDIS_URL ?? '') !== '' || findRedis(env.PATH) !== null) return null
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return advice
  return (await installOnDebian(env, policy)) && findRedis(env.PATH) !== null ? null : advice
}

async function installOnDebian(base, policy) {
  process.stderr.write('installing redis-server with apt-get (once); its system service stays off\n')
  const env = { ...base, DEBIAN_FRONTEND: 'noninteractive' }
  const run = async (...command) => (await runChild(command[0], command.slice(1), { env, stdout: 'stderr' })) === 0
  // Debian starts a server as soon as it is installed, unless this file says no.
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    if (!(await run('apt-get', 'update', '-qq'))) return false
    if (!(await run('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'redis-server'))) return false
    await run('update-rc.d', 'redis-server', 'disable')
    return true
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}
