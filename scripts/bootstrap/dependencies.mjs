import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from './child.mjs'
import { withLock } from './lock.mjs'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const lockWaitMsMax = 15 * 60_000
const say = (line) => process.stderr.write(`${line}\n`)

/**
 * Makes node_modules match package-lock.json: nothing to do when a stamp says so, `npm ci` when it does not. Safe when
 * several processes ask at once. Says what it does on stderr; throws when npm fails.
 */
export async function ensureDependencies() {
  const wanted = fingerprint()
  if (stamp() === wanted) return
  const options = {
    waitMsMax: lockWaitMsMax,
    onWait: (owner) => say(`waiting for process ${owner}, which is installing dependencies`),
  }
  await withLock(join(root, '.cache', 'install.lock'), options, async () => {
    if (stamp() === wanted) return
    if (!installedAsLocked()) await install()
    writeFileSync(stampFile(), wanted)
  })
}

async function install() {
  const startMs = Date.now()
  say('installing dependencies: npm ci, once, usually well under a minute')
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const args = [...npm.slice(1), 'ci', '--include=dev', '--no-audit', '--no-fund']
  const code = await runChild(npm[0], args, { cwd: root, stdout: 'stderr', env: installEnvironment() })
  if (code !== 0) throw new Error(`npm ci failed with exit code ${code}; run "npm ci" to see why`)
  say(`dependencies installed in ${((Date.now() - startMs) / 1000).toFixed(1)} s`)
}

/** The settings of the script that started us are not meant for the installation. */
function installEnvironment() {
  const env = { ...process.env }
  for (const name of ['npm_config_loglevel', 'npm_config_dry_run', 'npm_config_omit', 'NODE_ENV']) delete env[name]
  return env
}

const stampFile = () => join(root, 'node_modules', '.riverbank-stamp')

function stamp() {
  try {
    return readFileSync(stampFile(), 'utf8')
  } catch {
    return null
  }
}

/** Native packages depend on the platform, so a copied node_modules does not count. */
function fingerprint() {
  const lock = readFileSync(join(root, 'package-lock.json'))
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`
}

/** True when npm's own record says that every package of the lockfile is there: somebody ran npm ci by hand. */
function installedAsLocked() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const wanted = Object.entries(packagesIn(join(root, 'package-lock.json'))).filter(([path]) => path !== '')
  const found = packagesIn(record)
  const isThere = ([path]) => found[path] !== undefined && existsSync(join(root, path))
  const there = wanted.filter(isThere)
  if (there.some(([path, entry]) => differ(found[path], entry))) return false
  const needed = new Set(
    there.flatMap(([, entry]) => Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })),
  )
  const missing = wanted.filter((entry) => !isThere(entry))
  return missing.every(([path, entry]) => entry.optional === true && (isForeign(entry) || !needed.has(nameOf(path))))
}

const packagesIn = (file) => JSON.parse(readFileSync(file, 'utf8')).packages
const differ = (a, b) => a.version !== b.version || a.integrity !== b.integrity
const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

function isForeign({ os, cpu, libc }) {
  const excludes = (list, value) => Array.isArray(list) && !list.includes(value)
  return excludes(os, process.platform) || excludes(cpu, process.arch) || excludes(libc, libcHere())
}

function libcHere() {
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}
