import { fork, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { cpuSeconds } from '../cpu.ts'
import { publishAll, type Feed } from '../feed.ts'
import type { Installation } from '../installation.ts'
import type { Goal, Metric } from '../measurement.ts'
import { untilDone } from '../progress.ts'
import { eachRound, type Run } from '../run.ts'
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

const goals = {
  rate: { kind: 'above', value: 0.6 },
  processor: { kind: 'below', value: 1.7 },
  server: { kind: 'below', value: 1.5 },
} as const satisfies Record<string, Goal>

/** Handled events a second, and the processor time of each payment by process: µs. */
interface Measured {
  readonly rate: number
  readonly cpu: ReadonlyMap<string, number>
}

/**
 * Measures the processor and a program that does only the work of its libraries, in turn on the same payments. The
 * installation runs only the processor. A rate counts from the first publish to the last handled event; this process
 * publishes for both.
 */
export async function benchFloorStream(
  run: Run,
  installation: Installation,
  feed: Feed,
  broker: number | null,
): Promise<void> {
  const { driver } = installation
  const metric = (name: string, unit: string, goal?: Goal): Metric => {
    return { benchmark: 'floor', driver, name, unit, ...(goal === undefined ? {} : { goal }) }
  }
  const floor = await FloorProgram.start(installation)
  try {
    // Both are warm before a clock starts; the feed has warmed the product.
    await floor.handle(feed.take(run.payments / 4), run.signal)
    await eachRound(run, `floor on ${driver}, ${run.payments} payments`, async () => {
      const events = [...feed.take(run.payments)]
      const servers = new Map([
        ...(broker === null ? [] : [['broker', broker] as const]),
        ['redis', installation.pids().get('redis') ?? 0],
      ])
      const bare = await measure(run, new Map([...servers, ['processor', floor.pid]]), () =>
        floor.handle(events, run.signal),
      )
      const pids = new Map([...servers, ['processor', installation.pids().get('process-1') ?? 0]])
      const ours = await measure(run, pids, async () => {
        await publishAll(installation, events, run.signal)
        await untilDone(installation, 'scored', run.signal)
      })
      run.record(metric('floor, payments a second', 'payments/s'), bare.rate)
      run.record(metric('Riverbank, payments a second', 'payments/s'), ours.rate)
      run.record(metric("share of the floor's rate", 'ratio', goals.rate), ours.rate / bare.rate)
      for (const [name, us] of bare.cpu) {
        const own = ours.cpu.get(name) ?? NaN
        run.record(metric(`floor, processor time, ${name}`, 'µs/payment'), us)
        run.record(metric(`Riverbank, processor time, ${name}`, 'µs/payment'), own)
        const goal = name === 'processor' ? goals.processor : goals.server
        run.record(metric(`processor time of the floor's, ${name}`, 'ratio', goal), own / us)
      }
    })
  } finally {
    await floor.stop()
  }
}

async function measure(run: Run, pids: ReadonlyMap<string, number>, work: () => Promise<void>): Promise<Measured> {
  const before = await cpuSeconds(pids)
  const startedMs = performance.now()
  await work()
  const rate = run.payments / ((performance.now() - startedMs) / 1_000)
  const after = await cpuSeconds(pids)
  const cpu = [...after].map(([name, seconds]): [string, number] => [
    name,
    ((seconds - (before.get(name) ?? 0)) * 1e6) / run.payments,
  ])
  return { rate, cpu: new Map(cpu) }
}

/** The bare program as a process, with topics or streams of its own beside those of the installation. */
class FloorProgram {
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
      execArgv: ['--max-semi-space-size=64', ...ownCommand().args.slice(0, -1)],
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
    const publish = this.#order.driver === 'kafka' ? this.#publishToLog : this.#publishToRedis
    const { published } = await streamEvents(events, publish, options)
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

  readonly #publishToLog: Publish = (records) => this.#installation.log.publish(records)

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
