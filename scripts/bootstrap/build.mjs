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
import { apart, placeOf } from './project.mjs'
import { readSources } from './sources.mjs'

const builds = join(root, '.cache', 'build')
const lockWaitMsMax = 2 * 60_000
/** A build that nobody runs and nobody asked for in this time is removed by the next one that is made. */
const unusedMsMax = 60 * 60_000
/** Sources that change while they are built are built again, so often. */
const attemptsMax = 5

/** In a build: a file for each process that runs it. */
const usersFolder = '.users'
const shipped = ['src', 'features', 'examples', 'scripts']
const say = (line) => process.stderr.write(`${line}\n`)

/**
 * The folder with the JavaScript of today's sources: `<folder>/src/main.js`, and so on, with source maps. Builds it when
 * there is none. A build has the hash of its sources in its name, comes into being by one rename and never changes:
 * two commands at once see one whole build, and a program goes on with the build it was started from, whatever happens
 * to the sources. `tests`: with the tests and what they start. `project`: with that of a folder outside of the repository;
 * what is wrong in its files is a `project_refused`.
 */
export async function ensureBuild({ tests = false, project = null } = {}) {
  const folders = tests ? [...shipped, 'test'] : shipped
  const builder = JSON.stringify([options, builderVersion()])
  const sources = () => withProject(readSources(root, folders, builder), project, builder)
  const { hash } = sources()
  const found = join(builds, hash)
  if (use(found)) return found
  const waiting = {
    waitMsMax: lockWaitMsMax,
    onWait: (owner) => say(`waiting for process ${owner}, which is building`),
  }
  return withLock(join(root, '.cache', 'build.lock'), waiting, async () => {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const before = sources()
      const target = join(builds, before.hash)
      if (use(target)) return target
      const staged = `${target}.${process.pid}.tmp`
      try {
        await transform(before, staged, project)
        if (sources().hash !== before.hash) continue
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

/** With the files of a project outside of the repository, whose place is part of what a build is. */
function withProject(own, project, builder) {
  if (project === null) return { ...own, foreign: [] }
  const { files, hash } = readSources(project, ['.'], `${builder}\0${own.hash}\0${project}`)
  return { files: own.files, hash, foreign: files.filter((file) => !file.includes('node_modules/')) }
}

async function transformProject(esbuild, files, folder, project) {
  const entryPoints = files.map((file) => join(project, file))
  const places = { absWorkingDir: project, outbase: project, outdir: join(folder, placeOf(project)) }
  try {
    await esbuild.build({ ...options, ...places, entryPoints, plugins: [apart(project)], logLevel: 'silent' })
  } catch (error) {
    const [first] = error.errors ?? []
    const at = first?.location ? `${first.location.file}:${first.location.line}: ` : ''
    const told = first === undefined ? error.message : `${at}${first.text}`
    throw Object.assign(new Error(`project_refused: ${project}: ${told}`), { code: 'project_refused' })
  }
}

async function transform({ files, foreign }, folder, project) {
  const startMs = Date.now()
  const esbuild = await import('esbuild')
  const entryPoints = files.map((file) => join(root, file))
  const places = { absWorkingDir: root, outbase: root, outdir: folder }
  mkdirSync(join(folder, usersFolder), { recursive: true })
  try {
    await esbuild.build({ ...options, ...places, entryPoints, plugins: [apart(null)], logLevel: 'silent' })
    if (project !== null) await transformProject(esbuild, foreign, folder, project)
  } catch (error) {
    if (error.code === 'project_refused') throw error
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
