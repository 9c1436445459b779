/**
 * The compiled feature set, as it is committed under features/compiled/. It is the contract between the engine, the
 * models (which name its hash), the lake (whose columns it names) and readers.
 */
export interface FeatureSetManifest {
  readonly format: 1
  /** sha256 (hex) of the canonical JSON of everything below. */
  readonly hash: string
  readonly events: readonly { readonly type: string; readonly version: number }[]
  readonly entities: readonly EntityManifest[]
  readonly features: readonly FeatureManifest[]
  readonly services: readonly { readonly name: string; readonly features: readonly string[] }[]
}

export interface EntityManifest {
  /** Such as `customer`. Lake columns: `<name>_id`, `<name>_sequence`, `<name>_born`. */
  readonly name: string
  /** The field of an event's data that holds the id, such as `customerId`. */
  readonly keyField: string
  /** Exactly one entity is the log's partition key; it carries the deduplication. */
  readonly partitionKey: boolean
  /** What the state remembers: longest window + delay + allowed lateness, in milliseconds. */
  readonly horizonMs: number
}

export interface FeatureManifest {
  readonly name: string
  readonly type: 'integer' | 'double'
  readonly nullable: boolean
  /** null for a derived feature. */
  readonly entity: string | null
  readonly view: string | null
  readonly description: string
  /** The definition in full: what the hash is about. */
  readonly definition: unknown
}
