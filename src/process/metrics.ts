import { isMisplaced } from '../events/partitioner.ts'
import type { CachedStates } from './entity-states.ts'
import type { Observed } from './stages.ts'
import type { TooLarge } from './assignment/batch-size.ts'
import type { LogBatch } from '../ports/log.ts'
import type { Meter } from '../ports/telemetry.ts'

/** Bytes, 128 B to 1 MiB: a new entity has a few hundred, a hot one with all its tiles some hundred thousand. */
const stateBuckets = [
  128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576,
]
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600]

export interface BatchReport {
  readonly batch: LogBatch
  /** The outcome of each record. */
  readonly observed: readonly Observed[]
  /** Lost compare-and-sets, each computed again; and states that the store took. */
  readonly conflicts: number
  readonly written: number
  readonly published: number
  /** The states in memory after the batch. */
  readonly cached: CachedStates
  readonly startedMs: number
  readonly endedMs: number
}

/** The processor's metrics. */
export interface ProcessMetrics {
  batch(report: BatchReport): void
  /** The store took an entity's state of this size. */
  stateWritten(entity: string, bytes: number): void
  committed(topic: string, partition: number, lag: number): void
  rewound(topic: string, partition: number, records: number): void
  /** A shadow has no score for so many events. `model`: `<name>/<version>`. */
  shadowFailed(model: string, failure: 'failed' | 'not_finite', events: number): void
  /** An event was applied, and has a dead letter instead of a score. */
  unscored(code: string): void
  /** This generation of models scores the partition from now on. */
  activated(partition: number, generation: number): void
  generationRefused(reason: string): void
  /** The processor handles this many events together from now on; `why` it is fewer than before, null when more. */
  batchSize(records: number, why: TooLarge | null): void
}

/** `entities`: names in plan order. `partitions`: how many the topic of events has. */
export function createProcessMetrics(meter: Meter, entities: readonly string[], partitions: number): ProcessMetrics {
  const refused = meter.counter('riverbank_process_dead_letters_total', 'Records put into dead letters', ['code'])
  const late = meter.counter('riverbank_process_too_late_total', 'Observations older than a state remembers', [
    'entity',
  ])
  const flagged = meter.counter('riverbank_process_flagged_total', 'Feature values scored with a reservation', ['flag'])
  const stateBytes = meter.histogram('riverbank_process_state_bytes', 'Size of the states written', stateBuckets, [
    'entity',
  ])
  const published = meter.counter('riverbank_process_published_total', 'Records published')
  const conflicts = meter.counter('riverbank_process_conflicts_total', 'Lost compare-and-sets, each computed again')
  const written = meter.counter('riverbank_process_states_written_total', 'Entity states written')
  const lag = meter.gauge('riverbank_process_lag_records', 'Records not handled yet', ['topic', 'partition'])
  const batchSeconds = meter.histogram('riverbank_process_batch_seconds', 'Handling one batch', latencyBuckets)
  const setCached = cacheMetrics(meter)
  const models = modelMetrics(meter)
  const countEvents = eventMetrics(meter)
  const countMisplaced = placeMetrics(meter, partitions)
  const countReleased = releaseMetrics(meter)
  const latency = meter.histogram(
    'riverbank_process_event_seconds',
    'From the log accepting an event to its score being published',
    latencyBuckets,
  )

  return {
    batch({ observed, conflicts: lost, written: stored, published: count, cached, startedMs, endedMs }) {
      setCached(cached)
      batchSeconds.observe((endedMs - startedMs) / 1_000)
      published.add(count)
      conflicts.add(lost)
      written.add(stored)
      const flags = new Map<string, number>()
      for (const one of observed) {
        if (one.kind === 'invalid') {
          refused.add(1, { code: one.code })
          continue
        }
        if (one.kind === 'duplicate') refused.add(1, { code: 'duplicate_event' })
        if (one.kind !== 'applied') continue
        if (one.verdict !== null) refused.add(1, { code: one.verdict })
        latency.observe(Math.max(0, endedMs - one.record.appendTimeMs) / 1_000)
        let entity = 0
        for (const response of one.responses) {
          if (response?.outcome === 'too_late') late.add(1, { entity: entities[entity] ?? 'unknown' })
          if (response !== null) for (const { flag } of response.flags) flags.set(flag, (flags.get(flag) ?? 0) + 1)
          entity += 1
        }
      }
      countEvents(observed)
      countMisplaced(observed)
      countReleased(observed)
      for (const [flag, number] of flags) flagged.add(number, { flag })
    },
    stateWritten(entity, bytes) {
      stateBytes.observe(bytes, { entity })
    },
    committed(topic, partition, left) {
      lag.set(left, { topic, partition: String(partition) })
    },
    ...rewindMetrics(meter),
    ...models,
    ...sizeMetrics(meter),
    unscored(code) {
      refused.add(1, { code })
      models.unscored(code)
    },
  }
}

function eventMetrics(meter: Meter): (observed: readonly Observed[]) => void {
  const events = meter.counter('riverbank_process_events_total', 'Events handled, by type and what came of them', [
    'type',
    'outcome',
  ])
  return (observed) => {
    const byType = new Map<string, Map<string, number>>()
    for (const one of observed) {
      if (one.kind === 'invalid') continue
      const { event, isScored } = one.decoded
      const outcome = one.kind === 'applied' ? (isScored ? 'scored' : 'observed') : one.kind
      const counts = byType.get(event.eventType) ?? new Map<string, number>()
      byType.set(event.eventType, counts.set(outcome, (counts.get(outcome) ?? 0) + 1))
    }
    for (const [type, counts] of byType) for (const [outcome, n] of counts) events.add(n, { type, outcome })
  }
}

function rewindMetrics(meter: Meter): Pick<ProcessMetrics, 'rewound'> {
  const rewinds = meter.counter('riverbank_process_rewinds_total', 'Times the states were behind the commit')
  const rewound = meter.counter('riverbank_process_rewound_records_total', 'Records applied again after a rewind')
  return {
    rewound(_topic, _partition, records) {
      rewinds.add(1)
      rewound.add(records)
    },
  }
}

function placeMetrics(meter: Meter, partitions: number): (observed: readonly Observed[]) => void {
  const misplaced = meter.counter(
    'riverbank_process_misplaced_total',
    'Records in another partition than their key gives: their producer has another partitioner than murmur2',
  )
  return (observed) => {
    for (const { record } of observed) if (isMisplaced(record, partitions)) misplaced.add(1)
  }
}

function releaseMetrics(meter: Meter): (observed: readonly Observed[]) => void {
  const released = meter.counter(
    'riverbank_process_labels_released_total',
    'Labels that came before their event, and were sent again when it came',
  )
  return (observed) => {
    let labels = 0
    for (const one of observed) {
      // Only a labelled event releases labels, and only at the partition-key entity, the first of the plan.
      if (one.kind === 'applied') labels += one.responses[0]?.released.length ?? 0
    }
    if (labels > 0) released.add(labels)
  }
}

function cacheMetrics(meter: Meter): (cached: CachedStates) => void {
  const held = meter.gauge('riverbank_process_state_cache_entries', 'Decoded states kept in memory')
  const size = meter.gauge('riverbank_process_state_cache_bytes', 'Memory of the decoded states that are kept')
  return ({ entries, bytes }) => {
    held.set(entries)
    size.set(bytes)
  }
}

function sizeMetrics(meter: Meter): Pick<ProcessMetrics, 'batchSize'> {
  const size = meter.gauge('riverbank_process_batch_limit_records', 'Events of a partition handled together at most')
  const shrinks = meter.counter('riverbank_process_batch_shrinks_total', 'Batches that were too large', ['reason'])
  return {
    batchSize(records, why) {
      size.set(records)
      if (why !== null) shrinks.add(1, { reason: why })
    },
  }
}

function modelMetrics(
  meter: Meter,
): Pick<ProcessMetrics, 'shadowFailed' | 'unscored' | 'activated' | 'generationRefused'> {
  const failures = meter.counter('riverbank_process_shadow_failures_total', 'Events that a shadow has no score for', [
    'model',
    'failure',
  ])
  const unscored = meter.counter('riverbank_process_unscored_total', 'Events applied and not scored', ['code'])
  const generation = meter.gauge('riverbank_process_model_generation', 'The generation of models that scores', [
    'partition',
  ])
  const refusals = meter.counter('riverbank_process_generations_refused_total', 'Generations that were not taken', [
    'reason',
  ])
  return {
    shadowFailed: (model, failure, events) => failures.add(events, { model, failure }),
    unscored: (code) => unscored.add(1, { code }),
    activated: (partition, number) => generation.set(number, { partition: String(partition) }),
    generationRefused: (reason) => refusals.add(1, { reason }),
  }
}
