import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { root } from './dependencies.mjs'
import { isAlive, withLock } from './lock.mjs'
import { readSources } from './sources.mjs'

const builds = join(root, '.cache', 'build')
const lockWaitMsMax = 2 * 60_000
/** A build that nobody runs and nobody asked for in this time is removed by the next one that is made. */
const unusedMsMax = 60 * 60_000
/** Sources that change while they are built are built again, so often. */
const attemptsMax = 5

/** In a build: a file for each process that runs it. */
const usersFolder = '.users'
const shipped = ['src', 'features', 'scripts']
const say = (line) => process.stderr.write(`${line}\n`)

/**
 * The folder with the JavaScript of today's sources: `<folder>/src/main.js`, and so on, with source maps. Builds it when
 * there is none. A build has the hash of its sources in its name, comes into being by one rename and never changes:
 * two commands at once see one whole build, and a program goes on with the build it was started from, whatever happens
 * to the sources. `tests`: with the tests and what they start.
 */
export async function ensureBuild({ tests = false } = {}) {
  const folders = tests ? [...shipped, 'test'] : shipped
  const builder = JSON.stringify([options, builderVersion()])
  const { hash } = readSources(root, folders, builder)
  const found = join(builds, hash)
  if (use(found)) return found
  const waiting = {
    waitMsMax: lockWaitMsMax,
    onWait: (owner) => say(`waiting for process ${owner}, which is building`),
  }
  return withLock(join(root, '.cache', 'build.lock'), waiting, async () => {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const before = readSources(root, folders, builder)
      const target = join(builds, before.hash)
      if (use(target)) return target
      const staged = `${target}.${process.pid}.tmp`
      try {
        await transform(before.files, staged)
        if (readSources(root, folders, builder).hash !== before.hash) continue
        renameSync(staged, target)
      } finally {
        rmSync(staged, { recursive: true, force: true })
      }
      use(target)
      removeUnused()
      return target
    }
    throw new Error('the sources change faster than they can be built')
  })
}

const options = {
  // One file each. `bundle` only because imports are rewritten then: from .ts to .js, and none of them is followed.
  bundle: true,
  treeShaking: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  charset: 'utf8',
  sourcemap: true,
  sourcesContent: false,
}

const apart = {
  name: 'apart',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ kind, path }) => {
      if (kind === 'entry-point') return undefined
      return { path: path.startsWith('.') ? path.replace(/\.ts$/, '.js') : path, external: true }
    })
  },
}

async function transform(files, folder) {
  const startMs = Date.now()
  const esbuild = await import('esbuild')
  const entryPoints = files.map((file) => join(root, file))
  const places = { absWorkingDir: root, outbase: root, outdir: folder }
  mkdirSync(join(folder, usersFolder), { recursive: true })
  try {
    await esbuild.build({ ...options, ...places, entryPoints, plugins: [apart], logLevel: 'silent' })
  } catch (error) {
    throw new Error(`the build failed\n${error.message}`, { cause: error })
  } finally {
    await esbuild.stop()
  }
  say(`built in ${((Date.now() - startMs) / 1000).toFixed(1)} s`)
}

/** Another esbuild may write other JavaScript. */
function builderVersion() {
  return JSON.parse(readFileSync(join(root, 'node_modules', 'esbuild', 'package.json'), 'utf8')).version
}

/** False where there is no such build. Else says that this process runs it; the children of a program end with it. */
function use(folder) {
  const own = join(folder, usersFolder, String(process.pid))
  try {
    writeFileSync(own, '')
    utimesSync(folder, new Date(), new Date())
  } catch (error) {
    if (error.code === 'ENOENT') return false
    // Somebody else's checkout: whoever may write there knows.
    if (error.code === 'EACCES' || error.code === 'EROFS') return true
    throw error
  }
  process.once('exit', () => rmSync(own, { force: true }))
  return true
}

function removeUnused() {
  for (const name of readdirSync(builds)) {
    const folder = join(builds, name)
    if (Date.now() - statSync(folder).mtimeMs < unusedMsMax) continue
    const users = join(folder, usersFolder)
    if (existsSync(users) && readdirSync(users).some((pid) => isAlive(Number(pid)))) continue
    // Renamed first: whoever asks for it now builds it, and sees no half of it.
    const aside = `${folder}.${process.pid}.old`
    renameSync(folder, aside)
    rmSync(aside, { recursive: true, force: true })
  }
}
