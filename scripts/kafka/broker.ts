import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'
import { probeKafka } from '../../src/edges/kafka/probe.ts'
import { defaultCacheDir, kafkaJars } from './distribution.ts'
import { serverProperties, type BrokerPlace } from './properties.ts'

export interface BrokerOptions {
  /** Holds the broker's data, configuration and log. A later start uses its data again. */
  readonly dir: string
  readonly cacheDir?: string
  /** Port of the listener; by default a free one. */
  readonly port?: number
  /** Properties of the broker, beside those that a development broker has. */
  readonly settings?: Readonly<Record<string, string>>
  readonly readyTimeoutMs?: number
  /** After SIGTERM, until SIGKILL. */
  readonly stopTimeoutMs?: number
  readonly onProgress?: (line: string) => void
}

export interface KafkaBroker {
  /** `127.0.0.1:<port>`, for clients. */
  readonly brokers: string
  readonly pid: number
  /** Resolves when the process ended by itself. */
  readonly crashed: Promise<Error>
  /** Sends SIGTERM, and SIGKILL when it takes too long. Safe to call twice. */
  stop(): Promise<void>
  /** Sends SIGKILL: a power cut, to the process. */
  kill(): Promise<void>
  /** Starts again on the same data and port; ends the running process first. */
  restart(): Promise<void>
  /** Freezes and thaws the process: a frozen broker keeps its connections and does not answer. */
  pause(): void
  resume(): void
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

/** Starts Apache Kafka on loopback as one node, and answers once it serves metadata and groups. */
export async function startKafkaBroker(options: BrokerOptions): Promise<KafkaBroker> {
  const { dir, readyTimeoutMs = 60_000, stopTimeoutMs = 15_000, onProgress = () => undefined } = options
  const jars = await kafkaJars({ cacheDir: options.cacheDir ?? defaultCacheDir(), onProgress })
  await mkdir(dir, { recursive: true })
  const place = await choosePlace(dir, options.port)
  const configFile = join(dir, 'server.properties')
  await writeFile(configFile, serverProperties({ ...place, settings: options.settings ?? {} }))
  format(jars, configFile, await clusterIdOf(dir))

  let expected = false
  let reportCrash: (error: Error) => void = () => undefined
  const crashed = new Promise<Error>((resolve) => (reportCrash = resolve))
  const launch = async (): Promise<Running> => {
    expected = false
    const running = spawnBroker(jars, configFile, dir)
    void running.ended.then(() => {
      if (!expected) reportCrash(new Error(`the Kafka broker ended by itself\n${logTail(dir)}`))
    })
    await untilReady(running, place.port, readyTimeoutMs, dir).catch(async (error: unknown) => {
      expected = true
      await endProcess(running, 'SIGKILL', stopTimeoutMs)
      throw error
    })
    return running
  }
  onProgress(`starting Apache Kafka on 127.0.0.1:${place.port}`)
  let running = await launch()
  const end = (signal: 'SIGTERM' | 'SIGKILL') => {
    expected = true
    return endProcess(running, signal, stopTimeoutMs)
  }
  return {
    brokers: `127.0.0.1:${place.port}`,
    crashed,
    get pid() {
      return running.child.pid ?? -1
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM')
      running = await launch()
    },
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
  }
}

/** The ports of the last run in this folder, so that clients find a restarted broker; else free ones. */
async function choosePlace(dir: string, port: number | undefined): Promise<BrokerPlace> {
  const dataDir = join(dir, 'data')
  const file = join(dir, 'ports.json')
  const stored = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as { port: number; controllerPort: number },
    () => null,
  )
  const place = {
    port: port ?? stored?.port ?? (await freePort()),
    controllerPort: stored?.controllerPort ?? (await freePort()),
    dataDir,
  }
  await writeFile(file, JSON.stringify({ port: place.port, controllerPort: place.controllerPort }))
  return place
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function clusterIdOf(dir: string): Promise<string> {
  const file = join(dir, 'cluster-id')
  const stored = await readFile(file, 'utf8').catch(() => null)
  if (stored !== null) return stored
  // Kafka's ids are 16 bytes in base64url; one that began with a dash would read as an option of the command line.
  const id = `R${randomBytes(16).toString('base64url').slice(1)}`
  await writeFile(file, id)
  return id
}

function format(jars: string, configFile: string, clusterId: string): void {
  const args = [...javaFlags(64), '-cp', join(jars, '*'), 'kafka.tools.StorageTool', 'format']
  const done = spawnSync('java', [...args, '-t', clusterId, '-c', configFile, '--ignore-formatted'], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (done.status !== 0) throw new Error(`formatting the broker's storage failed\n${done.stdout}${done.stderr}`)
}

function javaFlags(heapMb: number): string[] {
  return [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=file:${join(projectFolder, 'scripts', 'kafka', 'log4j2.properties')}`,
  ]
}

function spawnBroker(jars: string, configFile: string, dir: string): Running {
  const log = openSync(logFile(dir), 'a')
  const child = spawn('java', [...javaFlags(512), '-cp', join(jars, '*'), 'kafka.Kafka', configFile], {
    cwd: dir,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  // A broker must not outlive a test run that crashed.
  const killNow = () => void child.kill('SIGKILL')
  process.once('exit', killNow)
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  }).then(() => void process.off('exit', killNow))
  return { child, ended }
}

async function endProcess({ child, ended }: Running, signal: 'SIGTERM' | 'SIGKILL', timeoutMs: number): Promise<void> {
  child.kill('SIGCONT')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  await ended
  clearTimeout(timer)
}

/** Waits until the broker answers for its metadata, and its group coordinator has created the topic of offsets. */
async function untilReady({ ended }: Running, port: number, timeoutMs: number, dir: string): Promise<void> {
  const deadline = Date.now() + timeoutMs
  const exit = { seen: false }
  void ended.then(() => (exit.seen = true))
  for (;;) {
    const failure = await probeKafka({
      brokers: [`127.0.0.1:${port}`],
      connectTimeoutMs: 1_000,
      requestTimeoutMs: 5_000,
    }).then(
      () => null,
      (error: unknown) => error,
    )
    if (failure === null) return
    if (exit.seen || Date.now() > deadline) {
      const what = exit.seen ? 'ended while starting' : `is not ready after ${timeoutMs} ms`
      throw new Error(`the Kafka broker ${what}\n${logTail(dir)}`, { cause: failure })
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function logFile(dir: string): string {
  return join(dir, 'broker.log')
}

function logTail(dir: string): string {
  try {
    return readFileSync(logFile(dir), 'utf8').split('\n').slice(-40).join('\n')
  } catch {
    return '(the broker wrote no log)'
  }
}
