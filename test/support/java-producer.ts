import { spawn, execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { defaultCacheDir, kafkaJars, kafkaVersion } from '../../scripts/kafka/distribution.ts'
import { endOf } from './librdkafka.ts'

const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
const jar = `kafka-tools-${kafkaVersion}.jar`
const downloadTimeoutMs = 300_000

/** The console producer that comes with Apache Kafka, beside the broker's jars; fetched once. */
async function toolsJar(): Promise<string> {
  const folder = join(dirname(defaultCacheDir()), `kafka-tools-${kafkaVersion}`)
  const file = join(folder, jar)
  if (existsSync(file)) return file
  await mkdir(folder, { recursive: true })
  const staging = await mkdtemp(`${folder}.tmp-`)
  const artifact = `-Dartifact=org.apache.kafka:kafka-tools:${kafkaVersion}`
  try {
    const args = ['-B', '-q', plugin, artifact, `-DoutputDirectory=${staging}`]
    await promisify(execFile)('mvn', args, { timeout: downloadTimeoutMs })
    await rename(join(staging, jar), file)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return file
}

export interface JavaSend {
  readonly brokers: string
  readonly topic: string
  readonly codec: string
  /** `headers<tab>key<tab>value`; headers are `name:value,...`, and `NULL` is null everywhere. */
  readonly lines: readonly string[]
  /** Settings of the producer, such as `batch.size=100000`. */
  readonly settings?: readonly string[]
}

/** Sends with Kafka's own Java client, all acknowledged; rejects with what it says. */
export async function sendByJava({ brokers, topic, codec, lines, settings = [] }: JavaSend): Promise<void> {
  const jars = await kafkaJars({ cacheDir: defaultCacheDir(), onProgress: () => undefined })
  const classPath = `${await toolsJar()}:${join(jars, '*')}`
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.io.tmpdir=/tmp', '-cp', classPath]
  const reading = ['parse.headers=true', 'parse.key=true', 'null.marker=NULL'].flatMap((p) => ['--property', p])
  // Its own default, 1.5 seconds, is less than what an acknowledgement takes on a busy machine.
  const sending = ['request.timeout.ms=60000', 'linger.ms=200', 'acks=all', ...settings]
  const properties = sending.flatMap((setting) => ['--producer-property', setting])
  const target = ['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', codec]
  const tool = 'org.apache.kafka.tools.ConsoleProducer'
  const child = spawn('java', [...flags, tool, ...target, ...reading, ...properties], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  // What ended it is told by its end.
  child.stdin.on('error', () => undefined)
  child.stdin.end(lines.map((line) => `${line}\n`).join(''))
  await endOf(child, 'the Java producer')
  // It ends with 0 also after an error.
  if (/Exception/.test(said)) throw new Error(said.slice(-2_000))
}
