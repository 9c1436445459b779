import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Fleet } from './fleet.ts'
import { ReplyProxy } from './reply-proxy.ts'
import { RoleProcess } from './role-process.ts'
import { Sender } from './sender.ts'
import type { ChaosRedis, Driver } from './servers.ts'
import { Traffic } from './traffic.ts'
import type { KafkaBroker } from '../kafka/broker.ts'
import { environmentName, names, readConfig, type Config } from '../../src/app/installation/settings/config.ts'
import { openEventLog } from '../../src/app/installation/servers/event-log.ts'
import { createTopics } from '../../src/app/installation/servers/topics.ts'
import type { EventLog, LogRecord } from '../../src/ports/log.ts'

const processorFile = fileURLToPath(new URL('processor.js', import.meta.url))
const mainFile = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** The shortest that a broker and a busy machine bear. */
const sessionTimeoutMs = 2_000

export interface InstallationOptions {
  readonly driver: Driver
  readonly redis: ChaosRedis
  readonly kafka: KafkaBroker | null
  /** The folder of its lake. */
  readonly dir: string
  readonly seed: number
  readonly processors: number
}

/** Topics, states and a lake of its own. Processors reach Redis through a proxy, all others directly. */
export class Installation {
  readonly driver: Driver
  readonly config: Config
  readonly log: EventLog
  readonly redis: ChaosRedis
  readonly kafka: KafkaBroker | null
  readonly proxy: ReplyProxy
  readonly fleet: Fleet
  readonly sender: Sender
  materializer: RoleProcess
  readonly #env: Readonly<Record<string, string>>

  private constructor(
    options: InstallationOptions,
    env: Readonly<Record<string, string>>,
    log: EventLog,
    proxy: ReplyProxy,
  ) {
    this.driver = options.driver
    this.redis = options.redis
    this.kafka = options.kafka
    this.config = readConfig(env)
    this.log = log
    this.proxy = proxy
    this.#env = env
    this.sender = new Sender(log, new Traffic(names(this.config).topics.events, options.seed))
    const throughProxy = { ...env, REDIS_URL: `redis://127.0.0.1:${proxy.port}` }
    const args = [processorFile, String(sessionTimeoutMs)]
    this.fleet = new Fleet(this.config.PARTITIONS, (name) => new RoleProcess(name, args, throughProxy))
    this.materializer = this.#startMaterializer()
  }

  static async open(options: InstallationOptions): Promise<Installation> {
    await mkdir(options.dir, { recursive: true })
    const env = environment(options)
    const log = await openEventLog(readConfig(env))
    await createTopics(readConfig(env), log)
    const installation = new Installation(options, env, log, await ReplyProxy.open(options.redis.port))
    for (let n = 0; n < options.processors; n += 1) installation.fleet.add()
    try {
      await installation.fleet.untilShared()
    } catch (error) {
      await installation.close()
      throw error
    }
    return installation
  }

  get names() {
    return names(this.config)
  }

  async stopMaterializer(): Promise<void> {
    await this.materializer.stop()
  }

  startMaterializer(): void {
    this.materializer = this.#startMaterializer()
  }

  /** Every record of a topic. */
  async read(topic: string): Promise<LogRecord[]> {
    const ranges = (await this.log.describeTopic(topic)) ?? []
    const left = new Map(ranges.filter(({ start, end }) => end > start).map(({ partition, end }) => [partition, end]))
    const found: LogRecord[] = []
    if (left.size === 0) return found
    let finish: () => void = () => undefined
    const all = new Promise<void>((resolve) => (finish = resolve))
    const from = new Map(ranges.map(({ partition, start }) => [partition, start]))
    const tail = await this.log.tail({ topic, from, maxRecords: 1_000, maxWaitMs: 20 }, async (batch) => {
      found.push(...batch.records)
      if (batch.next >= (left.get(batch.partition) ?? Infinity)) left.delete(batch.partition)
      if (left.size === 0) finish()
    })
    await Promise.race([all, tail.finished])
    await tail.stop()
    return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  /** Ends every process of the installation. */
  async close(): Promise<void> {
    await Promise.allSettled([this.fleet.stop(), this.materializer.stop()])
    await Promise.allSettled([this.proxy.close(), this.log.close()])
  }

  /** Starts a role of the command line with other settings. */
  startBeside(role: 'process' | 'materialize', settings: Readonly<Record<string, string>>): RoleProcess {
    return new RoleProcess(`${role} beside`, [mainFile, role], { ...this.#env, ...settings })
  }

  #startMaterializer(): RoleProcess {
    return new RoleProcess('materialize', [mainFile, 'materialize'], this.#env)
  }
}

/** Leaves the settings of the shell out. */
function environment({ driver, redis, kafka, dir }: InstallationOptions): Record<string, string> {
  const ours = /^(RIVERBANK_|REDIS_URL$|KAFKA_BROKERS$|VITEST|NODE_ENV$|TEST_)/
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !ours.test(entry[0]),
  )
  const settings = {
    LOG: driver,
    NAMESPACE: `chaos-${randomBytes(4).toString('hex')}`,
    DATA_DIR: dir,
    REDIS_URL: redis.url,
    KAFKA_BROKERS: kafka?.brokers ?? '',
    // Small, so that faults meet many unfinished batches.
    BATCH_RECORDS: '20',
    STATE_TIMEOUT_MS: '1000',
    LAKE_FLUSH_MS: '300',
    LAKE_COMPACT_MS: '15000',
    LOG_LEVEL: 'info',
  }
  const own = Object.entries(settings).map(([name, value]): [string, string] => [environmentName(name), value])
  return Object.fromEntries([...inherited, ...own])
}
