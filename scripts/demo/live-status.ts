import { describeLag } from '../../src/app/installation/servers/topics.ts'
import { names, type Config } from '../../src/app/installation/settings/config.ts'
import type { ProjectSamples } from '../../src/define/project.ts'
import type { EventLog, LogBatch, Subscription } from '../../src/ports/log.ts'

/** Percentiles count the latencies of so many of the newest scores. */
const latenciesMax = 2_000

/** Follows the scores and shows the service's rate, lag, latency and alerts. */
export class LiveStatus {
  readonly #log: EventLog
  readonly #config: Config
  readonly #scoredName: string
  readonly #scoreTypes: ReadonlySet<string>
  #tail: Subscription | null = null
  #scored = 0
  #scoredBefore = 0
  #atMs = performance.now()
  #alerts = 0
  #latenciesMs: number[] = []

  private constructor(log: EventLog, config: Config, samples: ProjectSamples) {
    this.#log = log
    this.#scoredName = samples.scored
    const emits = config.featureSet.events.flatMap(({ scored }) => (scored === undefined ? [] : [scored.emits]))
    this.#scoreTypes = new Set(emits)
    this.#config = config
  }

  static async follow(log: EventLog, config: Config, samples: ProjectSamples): Promise<LiveStatus> {
    const status = new LiveStatus(log, config, samples)
    const topic = names(config).topics.scores
    status.#tail = await log.tail({ topic, from: 'end', maxRecords: 1_000, maxWaitMs: 200 }, (batch) => {
      status.#take(batch)
      return Promise.resolve()
    })
    return status
  }

  #take(batch: LogBatch): void {
    for (const record of batch.records) {
      const event = JSON.parse(Buffer.from(record.value).toString('utf8')) as {
        type: string
        time: string
        data: { decision?: string }
      }
      if (!this.#scoreTypes.has(event.type)) continue
      this.#scored += 1
      if (event.data.decision !== 'approve') this.#alerts += 1
      // An output event's time is when the log took its cause.
      this.#latenciesMs.push(record.appendTimeMs - Date.parse(event.time))
    }
    if (this.#latenciesMs.length > latenciesMax) this.#latenciesMs = this.#latenciesMs.slice(-latenciesMax)
  }

  async describe(): Promise<string> {
    const lags = await describeLag(this.#config, this.#log)
    const group = names(this.#config).groups.process
    const lag = lags.filter((row) => row.group === group).reduce((sum, row) => sum + row.lag, 0)
    const nowMs = performance.now()
    const rate = ((this.#scored - this.#scoredBefore) * 1_000) / (nowMs - this.#atMs)
    this.#scoredBefore = this.#scored
    this.#atMs = nowMs
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b)
    const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
    return (
      `${rate.toFixed(0)} ${this.#scoredName}/s, lag ${lag}, publish to score p50 ${quantile(0.5)} ms p99 ${quantile(0.99)} ms, ` +
      `${this.#alerts} alerts of ${this.#scored}`
    )
  }

  async stop(): Promise<void> {
    await this.#tail?.stop()
  }
}
