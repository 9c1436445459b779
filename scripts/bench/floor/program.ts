import { fork, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import type { Installation } from '../installation.ts'
import { followStreams } from './follow-streams.ts'
import { newestScore, stateBytes } from './sample.ts'
import type { FloorOrder, FloorReport } from './stream-program.js'
import { scoredTypes, type SimulatedEvent } from '../../../features/simulator/payment-events.ts'
import type { Publish } from '../../simulator/publish-lane.ts'
import { streamEvents } from '../../simulator/stream-events.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'
import { topicSpecs } from '../../../src/app/installation/servers/topics.ts'
import { ownCommand } from '../../../src/app/supervise/supervisor.ts'
import { modelManifestSchema } from '../../../src/edges/onnx/manifest.ts'
import { registeredRollout } from '../../../src/edges/onnx/load.ts'
import { partitionOf } from '../../../src/events/partitioner.ts'

/** The bare program as a process, with topics or streams of its own beside those of the installation. */
export class FloorProgram {
  readonly #installation: Installation
  readonly #order: FloorOrder
  readonly #child: ChildProcess
  readonly #redis: Redis
  #handled = 0
  #failure: Error | null = null
  #wake: () => void = () => undefined

  private constructor(installation: Installation, order: FloorOrder, child: ChildProcess) {
    this.#installation = installation
    this.#order = order
    this.#child = child
    this.#redis = new Redis(installation.config.REDIS_URL)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  static async start(installation: Installation): Promise<FloorProgram> {
    const order = await orderFor(installation)
    if (order.driver === 'kafka') {
      const [spec] = topicSpecs(installation.config)
      for (const topic of [order.input, order.output])
        if (spec !== undefined) await installation.log.createTopic({ ...spec, topic })
    }
    const child = fork(fileURLToPath(new URL('./stream-program.js', import.meta.url)), {
      execArgv: ['--max-semi-space-size=128', ...ownCommand().args.slice(0, -1)],
    })
    const program = new FloorProgram(installation, order, child)
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => {
        program.#failure = new Error(`the bare program ended with exit code ${code}`)
        reject(program.#failure)
        program.#wake()
      })
      child.on('message', (message: FloorReport) => {
        if (message.kind === 'ready') resolve()
        else program.#handled = message.records
        program.#wake()
      })
      child.send(order)
    })
    return program
  }

  get partitions(): number {
    return this.#order.partitions
  }

  /** Appends records to what the program reads. */
  readonly publish: Publish = (records) =>
    this.#order.driver === 'kafka' ? this.#publishToLog(records) : this.#publishToRedis(records)

  /** Calls `take` with each score that the program publishes from now on; answers how to end that. */
  async follow(take: (value: Uint8Array) => void): Promise<() => Promise<void>> {
    const { driver, output: topic, partitions, redisUrl } = this.#order
    if (driver === 'redis') {
      const streams = Array.from({ length: partitions }, (_, partition) => `${topic}:${partition}`)
      return followStreams(redisUrl, streams, take)
    }
    const options = { topic, from: 'end', maxRecords: 1_000, maxWaitMs: 20 } as const
    const tail = await this.#installation.log.tail(options, ({ records }) => {
      for (const { value } of records) take(value)
      return Promise.resolve()
    })
    return () => tail.stop()
  }

  /** Publishes the events and waits until the program has handled all of them. */
  async handle(events: Iterable<SimulatedEvent>, signal: AbortSignal): Promise<void> {
    const before = this.#handled
    const options = {
      topic: this.#order.input,
      scoredTypes,
      partitions: this.#order.partitions,
      batchRecords: 500,
      inFlightMax: this.#order.partitions,
      signal,
    }
    const { published } = await streamEvents(events, this.publish, options)
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake)
    try {
      while (this.#handled < before + published) {
        signal.throwIfAborted()
        if (this.#failure !== null) throw this.#failure
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  readonly #publishToLog: Publish = (records) =>
    this.#installation.log.publish(records.map((record) => ({ ...record, topic: this.#order.input })))

  readonly #publishToRedis: Publish = async (records) => {
    const pipeline = this.#redis.pipeline()
    for (const { key, value } of records) {
      pipeline.xadd(
        `${this.#order.input}:${partitionOf(key, this.#order.partitions)}`,
        '*',
        'k',
        key,
        'v',
        Buffer.from(value),
      )
    }
    await pipeline.exec()
    return []
  }

  async stop(): Promise<void> {
    this.#child.removeAllListeners('exit')
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await ended
    this.#redis.disconnect()
  }
}

async function orderFor(installation: Installation): Promise<FloorOrder> {
  const { config, driver } = installation
  const { manifest } = definitions(config)
  const [eventType = ''] = scoredTypes
  const { champion } = await registeredRollout(config.MODELS_DIR, eventType)
  const dir = join(config.MODELS_DIR, champion.name, champion.version)
  const model = modelManifestSchema.parse(JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8')))
  const entities = manifest.entities.map(async ({ name, keyFields: fields }) => ({
    name,
    fields,
    bytes: await stateBytes(installation, name),
  }))
  return {
    driver,
    redisUrl: config.REDIS_URL,
    brokers: config.KAFKA_BROKERS,
    input: `${config.NAMESPACE}.floor.events`,
    output: `${config.NAMESPACE}.floor.scores`,
    group: `${config.NAMESPACE}.floor`,
    partitions: config.PARTITIONS,
    batchRecords: config.BATCH_RECORDS,
    batchBytes: topicSpecs(config)[0]?.maxRecordBytes ?? 0,
    model: {
      file: join(dir, 'model.onnx'),
      input: Array.isArray(model.input) ? '' : model.input.name,
      output: model.probability.output,
      width: model.features.length,
    },
    entities: await Promise.all(entities),
    score: await newestScore(installation),
  }
}
