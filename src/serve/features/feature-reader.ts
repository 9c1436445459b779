import type { NamedFlags } from '../../engine/flags.ts'
import type { EntityKey } from '../../ports/states.ts'

/** What the state of one entity answers at one time. */
export interface EntityFeatures {
  readonly key: EntityKey
  /** False when nothing was ever observed, or all of it has expired. */
  readonly found: boolean
  /** Time of the newest observation, milliseconds UTC; null when not found. */
  readonly newestTimeMs: number | null
  /** The sequence number that the next observation takes; null when not found. */
  readonly sequence: number | null
  /**
   * Every feature of the entity by name; null where there was nothing to aggregate. When not found, those of empty
   * windows: what scoring would use.
   */
  readonly features: Readonly<Record<string, number | null>>
  /** Features with a reservation; missing when there are none. */
  readonly flags?: NamedFlags
}

/** What only the caller knows: the event that features are asked for, as far as it is said, and its time. */
export interface FeatureRequest {
  readonly data: Readonly<Record<string, unknown>>
  readonly timeMs: number
}

/**
 * Features of entities as their states know them now, for windows that end at `atMs`. The answers are in the order of
 * the keys. Errors: `state_unavailable`.
 */
export interface FeatureReader {
  read(keys: readonly EntityKey[], atMs: number): Promise<readonly EntityFeatures[]>
  /**
   * Derived features by name, from the features of the entities of one row and the request; null where a name cannot
   * be derived from what is there, and of those that read a field that the request does not give (null is given). A reader without it answers NULL_VALUE for every derived feature.
   */
  derive?(
    names: readonly string[],
    features: Readonly<Record<string, number | null>>,
    request: FeatureRequest | null,
  ): Readonly<Record<string, number | null>>
}
