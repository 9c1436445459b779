import type { LabelRule } from '../events/label-rule.ts'
import type { ScoredRule } from '../events/scored-rule.ts'
import type { ReasonForm } from './reason-form.ts'

/**
 * The compiled feature set, as it is committed under features/compiled/. It is the contract between the engine, the
 * models (which name its hash), the lake (whose columns it names) and readers.
 */
export interface FeatureSetManifest {
  readonly format: 3
  /** sha256 (hex) of the canonical JSON of everything below. */
  readonly hash: string
  readonly events: readonly EventManifest[]
  readonly entities: readonly EntityManifest[]
  readonly features: readonly FeatureManifest[]
  readonly services: readonly ServiceManifest[]
}

export interface EventManifest {
  readonly type: string
  readonly version: number
  /** What the events of this type label. */
  readonly label?: LabelRule
  /** How the events of this type are scored. */
  readonly scored?: ScoredRule
}

export interface ServiceManifest {
  readonly name: string
  /** The type of the events that its models score. */
  readonly eventType: string
  /** sha256 (hex) of what its features mean, those they are derived from included. A model names it. */
  readonly hash: string
  readonly features: readonly string[]
}

export interface EntityManifest {
  /** Such as `account`. Lake columns: `<name>_id`, `<name>_sequence`, `<name>_incarnation`. */
  readonly name: string
  /** The fields of an event's data that make the id, such as `accountId`; several are joined by `|`. */
  readonly keyFields: readonly string[]
  /** Exactly one entity is the log's partition key; it carries the deduplication. */
  readonly partitionKey: boolean
  /** What the state remembers: longest window + delay + allowed lateness, in milliseconds. */
  readonly horizonMs: number
  /** Tiles of one hop that a state holds at most. */
  readonly tilesMax: number
}

export interface FeatureManifest {
  readonly name: string
  readonly type: 'integer' | 'double'
  readonly nullable: boolean
  /** null for a derived feature. */
  readonly entity: string | null
  readonly view: string | null
  readonly description: string
  /** The reason when it pushes a score towards fraud; left out where the description will do. */
  readonly reason?: ReasonForm | undefined
  /** The definition in full: what the hash is about. */
  readonly definition: unknown
}
