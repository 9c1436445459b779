/** An event type whose events are scored, and how the event that says the score repeats them. */
export interface ScoredRule {
  /** Type of the event that says a score, such as `login.scored`. */
  readonly emits: string
  /** The field of its data that names the scored event by its id. */
  readonly idField: string
  /** The field of its data with the time of the observation, in milliseconds UTC. */
  readonly timeField: string
  /** The fields of the scored event's data that it repeats, in this order. */
  readonly repeats: readonly string[]
  /** One of these: what the event is worth, a whole number, so that reports can add up what was caught and missed. */
  readonly worthField?: string
}

/** What every score says, whatever was scored: see `scoreSchema`. */
export const scoreFields = [
  'score',
  'decision',
  'model',
  'service',
  'featureSet',
  'features',
  'flags',
  'shadows',
  'policy',
  'reasons',
  'reasonsUnavailable',
  'entities',
  'position',
] as const
