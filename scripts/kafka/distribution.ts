import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchJars, markerOf } from './maven-jars.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'

const pom = join(projectFolder, 'scripts', 'kafka', 'pom.xml')
const javaMajorMin = 17

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

/** The folder with the broker's jars, fetched from Maven Central once. */
export async function kafkaJars({ cacheDir, onProgress }: DistributionOptions): Promise<string> {
  if (existsSync(markerOf(cacheDir))) return cacheDir
  const available = kafkaAvailable(cacheDir)
  if (available.kind === 'missing') throw new Error(available.reason)
  onProgress(`fetching Apache Kafka ${kafkaVersion} (about 45 MB) into ${cacheDir}`)
  await fetchJars({ pom, dir: cacheDir, main: `kafka_2.13-${kafkaVersion}.jar` })
  return cacheDir
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
