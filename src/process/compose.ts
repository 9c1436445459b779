import { deadLetterRecord } from './dead-letters/dead-letter.ts'
import { createScoreRecord, observedRecord } from './output-records.ts'
import type { LoadedRollout } from './models/model-pool.ts'
import type { Applied, Explained, ExplainedEvent } from './stages.ts'
import { releasedRecords } from './dead-letters/waiting.ts'
import { modelName } from '../scoring/rollout/generation.ts'
import { servicePlan } from '../scoring/service.ts'
import { assert, unreachable } from '../base/errors.ts'
import type { FeaturePlan } from '../engine/plan.ts'
import type { EventCatalog } from '../events/event.ts'
import type { OutgoingRecord } from '../ports/log.ts'

/** A batch's output events, in the order of their causes: scores, observed events, dead letters, released labels. */
export type Compose = (explained: readonly Explained[]) => OutgoingRecord[]

export interface ComposeOptions {
  readonly plan: FeaturePlan
  /** Names the fields of a scored event that its score repeats. */
  readonly catalog: EventCatalog
  readonly topics: { readonly scores: string; readonly deadLetters: string }
}

export function createCompose(options: ComposeOptions): Compose {
  const { plan, topics } = options
  const writers = new WeakMap<LoadedRollout, (event: ExplainedEvent) => OutgoingRecord>()
  const scoreRecord = (event: ExplainedEvent): OutgoingRecord => {
    const write = writers.get(event.rollout) ?? scoreWriter(options, event.rollout, event.decoded.event.eventType)
    writers.set(event.rollout, write)
    return write(event)
  }
  return (explained) =>
    explained.flatMap((one) => {
      switch (one.kind) {
        case 'invalid':
          return [deadLetterRecord(topics.deadLetters, one, one.code, one.detail)]
        case 'gone':
          return []
        case 'duplicate':
          return [
            deadLetterRecord(topics.deadLetters, one, 'duplicate_event', 'an event with this id was applied before'),
          ]
        case 'explained':
          return [scoreRecord(one), ...releasedRecords(one, topics.deadLetters)]
        case 'unscored': {
          // The event changed states: one record says that, another why it has no score.
          const letter = deadLetterRecord(topics.deadLetters, one, one.code, one.detail)
          return [observedRecord(plan, topics.scores, one), letter, ...releasedRecords(one, topics.deadLetters)]
        }
        case 'applied':
          return [
            observedRecord(plan, topics.scores, one),
            ...verdictRecords(one, topics.deadLetters),
            ...releasedRecords(one, topics.deadLetters),
          ]
        default:
          return unreachable(one)
      }
    })
}

function scoreWriter({ plan, catalog, topics }: ComposeOptions, { champion, shadows }: LoadedRollout, type: string) {
  const rule = catalog.get(type)?.scored
  assert(rule !== undefined, `events of type ${type} are scored`)
  return createScoreRecord({
    plan,
    rule,
    service: servicePlan(plan, champion.service),
    model: { name: champion.name, version: champion.version },
    shadows: shadows.map(modelName),
    topic: topics.scores,
  })
}

/** A label that counts nowhere took sequence numbers too; its letter lets it come again when it is right. */
function verdictRecords(applied: Applied, deadLetters: string): OutgoingRecord[] {
  const { verdict } = applied
  return verdict === null ? [] : [deadLetterRecord(deadLetters, applied, verdict, labelDetails[verdict])]
}

const labelDetails = {
  unknown_subject:
    'the state does not know the event that the label names: it did not come yet, or is too long or too many events ago; a label that waits is applied by itself when its event comes',
  contradicts_subject: 'the label repeats something else than its subject says',
} as const
