import type { FeatureFlag } from '../../engine/flags.ts'
import type { EntityKey } from '../../ports/states.ts'

/** The features of one entity at one time. */
export interface EntityFeatures {
  readonly key: EntityKey
  /** False when the entity has no observation, or its state has expired. */
  readonly found: boolean
  /** Time of the newest observation, milliseconds UTC; null when not found. */
  readonly newestTimeMs: number | null
  /** The sequence number that the next observation takes; null when not found. */
  readonly sequence: number | null
  /**
   * Of every feature of the entity, in the order of the feature set; null if its window has nothing to aggregate. Without
   * a state, the values of empty windows, which scoring would use.
   */
  readonly values: readonly (number | null)[]
  /** Reservations about some of the values; most often none. */
  readonly flags: readonly FeatureFlag[]
}

/** What only the caller knows: the fields that it gives of the event to come, and its time. */
export interface FeatureRequest {
  readonly data: Readonly<Record<string, unknown>>
  readonly timeMs: number
}

/**
 * Reads the features of entities from their states of now, for windows that end at `atMs`. Answers in the order of the
 * keys. Errors: `state_unavailable`.
 */
export interface FeatureReader {
  read(keys: readonly EntityKey[], atMs: number): Promise<readonly EntityFeatures[]>
  /**
   * Derives features by name from the entities of one row and the request, in the order of the names. Null for a feature
   * whose inputs are missing, also a field that the request does not give (a null is given). Without this method every
   * derived feature is NULL_VALUE.
   */
  derive?(
    names: readonly string[],
    entities: readonly EntityFeatures[],
    request: FeatureRequest | null,
  ): readonly (number | null)[]
}
