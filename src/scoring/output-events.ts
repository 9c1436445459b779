import { flagKinds } from '../engine/flags.ts'
import { z } from 'zod'
import { unexplained } from './explain/explainer.ts'
import { reasonSchema } from './explain/reason.ts'

/** Where an entity stood at an event. It had seen observations with `incarnation` ≤ sequence < `sequence`. */
export const entityPosition = z.object({
  id: z.string(),
  /** The sequence number this event took at the entity. */
  sequence: z.number().int(),
  /** The sequence number that the entity's present incarnation began with (a state that expired begins a new one). */
  incarnation: z.number().int(),
  /** Applied, or given a number and nothing else: beyond what the state remembers, or a label that counts nowhere. */
  outcome: z.enum(['applied', 'too_late', 'unknown_subject', 'contradicts_subject']),
})

const sourcePosition = z.object({ topic: z.string(), partition: z.number().int(), offset: z.number().int() })

export const decisions = ['approve', 'review', 'block'] as const

/** What every score says, version 1 of its type: everything that was known when the decision was made. */
export const scoreSchema = z.object({
  score: z.number(),
  decision: z.enum(decisions),
  model: z.object({ name: z.string(), version: z.string() }),
  service: z.string(),
  featureSet: z.string(),
  /** Every feature of the service and of its views by name; null where there was nothing to aggregate. */
  features: z.record(z.string(), z.number().nullable()),
  /** By feature, for those that are not what their name says: see `flagKinds`. Left out when there are none. */
  flags: z
    .record(z.string(), z.enum(flagKinds))
    .optional()
    .describe(
      'features with a reservation: incomplete (history not added yet), truncated (the entity had too many tiles, the ' +
        'oldest were dropped), saturated (a distinct count at its cap: at least)',
    ),
  /** By `<name>/<version>`. Left out when there are no shadows. */
  shadows: z
    .record(z.string(), z.number().nullable())
    .optional()
    .describe('scores of models that decide nothing; null where one failed'),
  /** Left out where the thresholds of the model's manifest decided, without a policy. */
  policy: z
    .object({
      version: z.string(),
      decidedBy: z.string().describe('model, rule:<name>, or block_list and allow_list with the entity'),
    })
    .optional()
    .describe('what decided, and by which version of the policy beside the model'),
  reasons: z
    .array(reasonSchema)
    .optional()
    .describe(
      'what pushed the score up, the strongest first, also where a rule or list decided; left out of approvals and when the model cannot be explained',
    ),
  reasonsUnavailable: z
    .enum(unexplained)
    .optional()
    .describe(
      'instead of reasons: why the model cannot be explained. no_trees: no tree ensemble; no_covers: trees without covers, which models register counts; not_followed: between the trees and the score is what nobody can follow; too_large; not_reproduced: what was read gives other scores',
    ),
  /** By entity name. */
  entities: z.record(z.string(), entityPosition),
  position: sourcePosition,
})

/**
 * `event.observed` version 1: an event that changed states without a score; one to be scored has a dead letter, too.
 */
export const eventObservedSchema = z.object({
  observedId: z.string(),
  observedType: z.string(),
  entities: z.record(z.string(), entityPosition),
  featureSet: z.string(),
  position: sourcePosition,
})

/** `event.dead_lettered` version 1: bytes that could not be processed, whole, with the reason. */
export const deadLetterSchema = z.object({
  code: z.string(),
  detail: z.string(),
  /** How often this record was tried, replays included; 1 for the first time. */
  attempts: z.number().int().min(1),
  position: sourcePosition,
  /**
   * How the key and the names and values of the headers are written: base64 where text would be far larger as JSON,
   * exact (base64 too) where text cannot say what the log holds.
   */
  encoding: z.enum(['text', 'base64', 'exact']),
  key: z.string().nullable(),
  /** Empty where `headerList` holds them. */
  headers: z.record(z.string(), z.string()),
  headerList: z
    .array(z.tuple([z.string(), z.string().nullable()]))
    .optional()
    .describe('with encoding exact: names and values in their order, base64; null where a header has no value'),
  isValueNull: z.boolean().optional().describe('with encoding exact: the record has no value, not an empty one'),
  /** The record's value, base64. */
  value: z.string(),
  valueBytes: z
    .number()
    .int()
    .optional()
    .describe(
      'left out where `value` is whole; else it is the beginning of so many bytes, and the log has all of them',
    ),
})

/**
 * `event.dead_letter_replayed` version 1: a person sent the record of a dead letter back to where it came from, or the
 * processor did, because the subject of a label came. It lies in the topic of the letter and is correlated with it.
 */
export const deadLetterReplayedSchema = z.object({
  letterId: z.string(),
  position: sourcePosition.optional().describe('where the letter lies; the processor does not know'),
  replayedAtMs: z.number().int(),
})

export type EntityPosition = z.infer<typeof entityPosition>
export type Score = z.infer<typeof scoreSchema>
/** The data of a score: what it repeats of its event, then what every score says. */
export type ScoreData = Readonly<Record<string, unknown>> & Score
export type EventObserved = z.infer<typeof eventObservedSchema>
export type DeadLetter = z.infer<typeof deadLetterSchema>
export type DeadLetterReplayed = z.infer<typeof deadLetterReplayedSchema>
export type Decision = (typeof decisions)[number]

/**
 * The id of an output event. An event id is unique only in its aggregate, and subscribers tell events apart by id
 * alone: so both stand in it.
 */
export function outputEventId(aggregateId: string, cause: string, what: 'scored' | 'observed'): string {
  return `${aggregateId}/${cause}:${what}`
}

/** The source of output events: fixed for every installation, because they depend on nothing but their cause. */
export const processorSource = 'urn:riverbank:processor'

/** The source of replays by a person, with the command. */
export const replaySource = 'urn:riverbank:dead-letters'

export const outputTypes = {
  observed: 'event.observed',
  deadLettered: 'event.dead_lettered',
  deadLetterReplayed: 'event.dead_letter_replayed',
} as const
