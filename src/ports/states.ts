/** Names one entity instance, such as entity `account`, id `4961`. */
export type EntityKey = { readonly entity: string; readonly id: string }

export interface StateWrite {
  readonly key: EntityKey
  /** The version the new state was computed from: {@link stateVersion} of the old blob, null when there was none. */
  readonly expected: Uint8Array | null
  readonly blob: Uint8Array
  readonly ttlMs: number
}

/** Names of store metadata: what made the states, an unfinished rebuild, the lake that belongs to them. */
const ofStates = { featureSet: 'feature-set', log: 'log', accepts: 'accepts' } as const
export const stateMetadata = { ...ofStates, rebuild: 'rebuild', lake: 'lake' } as const
/** Holds the entity states. Errors: `state_unavailable` (canRetry). */
export interface StateStore {
  /**
   * Changes whenever the store may have lost acknowledged writes: with a reconnect, and when positions turn out to be
   * of another incarnation of the store, which was emptied and filled again. A process that caches states drops them
   * then.
   */
  readonly epoch: number
  /** Blobs in the order of the keys, null where there is none. */
  load(keys: readonly EntityKey[]): Promise<readonly (Uint8Array | null)[]>
  /** Each write by itself is atomic: true where the stored version was the expected one, or already the new one. */
  compareAndSet(writes: readonly StateWrite[]): Promise<readonly boolean[]>
  /** The next offset to apply per partition of a topic, as far as this store knows. */
  positions(topic: string): Promise<ReadonlyMap<number, number>>
  /**
   * Raises the position; never lowers it. With `from`, only where the position is at least that, in one step: false
   * when the store knows less, so it has lost what it held (emptied under a connection that goes on). False in another
   * incarnation of the store than the one whose positions were read here.
   */
  advance(topic: string, partition: number, next: number, from?: number): Promise<boolean>
  /** What blobs hold (`StateLayout` as JSON), by the layout they name. On each node: lost only with all its states. */
  layouts(): Promise<ReadonlyMap<number, string>>
  /** Keeps them for good, before the first state of the layout is written; what a layout names never changes. */
  keepLayouts(layouts: ReadonlyMap<number, string>): Promise<void>
  /** A short text about all states, such as the feature set that they belong to; null when there is none. */
  metadata(name: string): Promise<string | null>
  /** Replaces `before` by `after` (null: none) in one step; answers whether it was `before`, or is `after` already. */
  replaceMetadata(name: string, before: string | null, after: string | null): Promise<boolean>
  close(): Promise<void>
}
