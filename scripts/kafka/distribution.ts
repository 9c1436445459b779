import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'

const pom = join(projectFolder, 'scripts', 'kafka', 'pom.xml')
const javaMajorMin = 17
const downloadTimeoutMs = 10 * 60_000

/** Apache Kafka's version, pinned in pom.xml. */
export const kafkaVersion = versionIn(readFileSync(pom, 'utf8'))

export type KafkaAvailability =
  | { readonly kind: 'available' }
  /** `reason` names in one line the missing part and how to get it. */
  | { readonly kind: 'missing'; readonly reason: string }

/** `.cache/kafka-<version>` of this repository; the environment variable KAFKA_CACHE_DIR replaces `.cache`. */
export function defaultCacheDir(): string {
  const parent = process.env['KAFKA_CACHE_DIR'] ?? join(projectFolder, '.cache')
  return join(parent, `kafka-${kafkaVersion}`)
}

/** Whether a broker can be started here: Java, and either the jars or Maven to fetch them. Starts two processes. */
export function kafkaAvailable(cacheDir: string = defaultCacheDir()): KafkaAvailability {
  const java = javaMajor()
  if (java === null) return { kind: 'missing', reason: `no java on PATH: install Java ${javaMajorMin} or newer` }
  if (java < javaMajorMin) {
    return { kind: 'missing', reason: `java ${java} is too old: Kafka ${kafkaVersion} needs ${javaMajorMin} or newer` }
  }
  if (existsSync(markerOf(cacheDir))) return { kind: 'available' }
  if (spawnSync('mvn', ['--version'], { stdio: 'ignore', timeout: 30_000 }).status === 0) return { kind: 'available' }
  return {
    kind: 'missing',
    reason: `Kafka ${kafkaVersion} is not in ${cacheDir} and there is no mvn to fetch it: install Apache Maven`,
  }
}

export interface DistributionOptions {
  readonly cacheDir: string
  readonly onProgress: (line: string) => void
}

/**
 * The folder with the broker's jars, fetched from Maven Central once. Safe for concurrent processes: each fetches into
 * a folder of its own, the first rename wins, and no process uses a folder without its marker.
 */
export async function kafkaJars({ cacheDir, onProgress }: DistributionOptions): Promise<string> {
  if (existsSync(markerOf(cacheDir))) return cacheDir
  const available = kafkaAvailable(cacheDir)
  if (available.kind === 'missing') throw new Error(available.reason)
  await mkdir(dirname(cacheDir), { recursive: true })
  const staging = await mkdtemp(`${cacheDir}.tmp-`)
  try {
    onProgress(`fetching Apache Kafka ${kafkaVersion} (about 45 MB) into ${cacheDir}`)
    await runMaven(staging)
    const jars = (await readdir(staging)).filter((name) => name.endsWith('.jar'))
    if (!jars.includes(`kafka_2.13-${kafkaVersion}.jar`)) throw new Error('Maven answered without the broker itself')
    await writeFile(markerOf(staging), `${jars.sort().join('\n')}\n`)
    await moveInto(staging, cacheDir)
    return cacheDir
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

async function moveInto(staging: string, cacheDir: string): Promise<void> {
  try {
    await rename(staging, cacheDir)
  } catch (error) {
    // A folder exists already: another process was faster, or an interrupted run of an older script left it.
    if (existsSync(markerOf(cacheDir))) return
    await rm(cacheDir, { recursive: true, force: true })
    await rename(staging, cacheDir).catch((second: unknown) => {
      if (!existsSync(markerOf(cacheDir))) throw new Error(`cannot create ${cacheDir}`, { cause: second ?? error })
    })
  }
}

function runMaven(target: string): Promise<void> {
  const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime']
  const child = spawn('mvn', [...args, `-DoutputDirectory=${target}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: downloadTimeoutMs,
  })
  let output = ''
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`mvn dependency:copy-dependencies failed (${signal ?? code})\n${output}`))
    })
  })
}

function markerOf(dir: string): string {
  return join(dir, 'complete')
}

function javaMajor(): number | null {
  const { status, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8', timeout: 30_000 })
  const match = status === 0 ? /version "(\d+)(?:\.(\d+))?/.exec(stderr) : null
  if (match === null) return null
  return match[1] === '1' ? Number(match[2]) : Number(match[1])
}

function versionIn(text: string): string {
  const match = /<kafka\.version>([\d.]+)<\/kafka\.version>/.exec(text)
  if (match?.[1] === undefined) throw new Error('pom.xml names no kafka.version')
  return match[1]
}
