import { setTimeout as delay } from 'node:timers/promises'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { definitions, type Definitions } from '../../../src/app/installation/settings/definitions.ts'
import { BatchSize } from '../../../src/process/assignment/batch-size.ts'
import type { EntityStates } from '../../../src/process/entity-states.ts'
import type { ProcessMetrics } from '../../../src/process/metrics.ts'
import { createPipeline, type Pipeline } from '../../../src/process/pipeline.ts'
import { Turns, underWayMax } from '../../../src/process/turns.ts'
import { createProcessor, type ProcessorOptions } from '../../../src/process/processor.ts'
import type { Sleeper } from '../../../src/process/retry.ts'
import { fixedModels, type ServingModels } from '../../../src/process/models/serving.ts'
import { StateMigration } from '../../../src/process/assignment/state-migration.ts'
import type { EventLog, GroupHandler } from '../../../src/ports/log.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import type { Logger } from '../../../src/ports/telemetry.ts'
import { plainExplanations } from '../../support/explainer.ts'

export const compiled = definitions(readConfig({}))

/** Deterministic, and different for every vector: whatever changes in one shows in the score. */
export const scorer: Scorer = {
  name: 'sum-of-bits',
  version: '1',
  service: 'fraud_v1',
  thresholds: { review: 0.5, block: 0.9 },
  explanations: plainExplanations(compiled.set.services.find(({ name }) => name === 'fraud_v1')?.vector ?? []),
  score(vectors, rows) {
    const width = vectors.length / rows
    const bits = new Uint32Array(vectors.buffer, vectors.byteOffset, vectors.length)
    const scores = new Float32Array(rows)
    for (let row = 0; row < rows; row += 1) {
      let hash = 0x811c9dc5
      for (const word of bits.subarray(row * width, (row + 1) * width)) {
        hash = Math.imul(hash ^ word, 0x01000193)
        hash ^= hash >>> 15
      }
      scores[row] = (hash >>> 8) / 2 ** 24
    }
    return Promise.resolve(scores)
  },
  close: () => Promise.resolve(),
}

export const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quiet,
}

export const clock: Sleeper = {
  nowMs: () => Date.now(),
  async sleep(ms, signal) {
    await delay(ms, undefined, { signal }).catch(() => undefined)
  },
}

export interface Counts {
  conflicts: number
  rewinds: number
  batches: number
}

export interface Wiring extends Pick<ProcessorOptions, 'committed' | 'range'> {
  readonly store: StateStore
  readonly states: EntityStates
  readonly publish: EventLog['publish']
  readonly topics: { readonly scores: string; readonly deadLetters: string }
  readonly clock: Sleeper
  readonly counts: Counts
  /** The shipped definitions, unless others are given. */
  readonly compiled?: Definitions
  /** How it takes over states; without it there are none to take over. */
  readonly migration?: StateMigration
  /** Who scores; by default one model for everything. */
  readonly models?: ServingModels
  readonly metrics?: Partial<ProcessMetrics>
  /** Whether the states may be used; without it each claim goes by its own position. */
  readonly guard?: ProcessorOptions['guard']
  /** Whether crashes are counted beside the states, as the role does. */
  readonly trials?: boolean
  /** Until a step that does not settle is a stall. */
  readonly stallMs?: number
  /** Between the pipeline and the processor: to plant a bug. */
  readonly alter?: (pipeline: Pipeline) => Pipeline
}

/** The processor as the role wires it. */
export function wire(wiring: Wiring): { readonly pipeline: Pipeline; readonly processor: GroupHandler } {
  const { counts, alter = (pipeline: Pipeline) => pipeline, compiled: own = compiled } = wiring
  const metrics: ProcessMetrics = {
    batch({ conflicts }) {
      counts.batches += 1
      counts.conflicts += conflicts
    },
    stateWritten: () => undefined,
    committed: () => undefined,
    rewound: () => {
      counts.rewinds += 1
    },
    shadowFailed: () => undefined,
    unscored: () => undefined,
    activated: () => undefined,
    generationRefused: () => undefined,
    batchSize: () => undefined,
    ...wiring.metrics,
  }
  const retry = { attempts: 8, firstDelayMs: 5, maxDelayMs: 200 }
  const { store, states, clock: ownClock, committed, range, topics } = wiring
  const shared = { store, states, retry, clock: ownClock, metrics, logger: quiet }
  const pipeline = alter(
    createPipeline({
      ...shared,
      log: { publish: wiring.publish },
      models: new Map([['payment.initiated', wiring.models ?? fixedModels(scorer)]]),
      catalog: own.catalog,
      plan: own.plan,
      features: own.manifest.features,
      topics,
      stallMs: wiring.stallMs ?? 60_000,
    }),
  )
  const size = new BatchSize({
    recordsMax: 1_000,
    unheardMs: () => 0,
    unheardMsMax: 1_000,
    onChange: (records, why) => metrics.batchSize(records, why),
  })
  const nobodys = { store, plan: own.plan, committed: () => Promise.resolve(new Map()), clock: ownClock, logger: quiet }
  const migration = wiring.migration ?? new StateMigration(nobodys)
  const guard = wiring.guard === undefined ? {} : { guard: wiring.guard }
  const { trials = false } = wiring
  const turns = new Turns(underWayMax, ownClock)
  const options = { ...shared, ...guard, pipeline, migration, committed, range, size, turns, trials }
  return { pipeline, processor: createProcessor(options) }
}
