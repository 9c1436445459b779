import { LRUCache } from 'lru-cache'
import { RiverbankError } from '../base/errors.ts'
import { observe, type Answer, type Observation } from '../engine/observe.ts'
import type { EntityPlan } from '../engine/plan.ts'
import { checksumIn, decodeState, encodeState, versionOf } from '../engine/state-codec/state-blob.ts'
import { stateBytes } from '../engine/state/state-size.ts'
import type { EntityState } from '../engine/state/state.ts'
import type { EntityKey, StateStore } from '../ports/states.ts'
import type { StateMigration } from './state-migration.ts'

/** A state as the store holds it: with its checksum it makes the version that the next write must find there. */
interface Loaded {
  readonly state: EntityState | null
  readonly checksum: number
}

const absent: Loaded = { state: null, checksum: 0 }

function expectedOf({ state, checksum }: Loaded): Uint8Array | null {
  return state === null ? null : versionOf(state.sequence, checksum)
}

/** Where a batch stands, and on which connection of the store it began. */
export interface BatchPlace {
  readonly topic: string
  readonly partition: number
  /** The partition's position, as the store knew it last: it can only know more by now. */
  readonly applied: number
  /** The batch's first offset: older snapshots of the partition may go (R3). */
  readonly floorOffset: number
  readonly epoch: number
}

export interface SettleResult {
  /** By entity id: one answer per observation, in order. */
  readonly answers: ReadonlyMap<string, readonly Answer[]>
  readonly conflicts: number
  readonly written: number
}

export interface EntityStatesOptions {
  readonly store: StateStore
  /** Reads states of other feature sets; without it they are refused. */
  readonly migration?: Pick<StateMigration, 'decode'>
  /** Decoded states kept in memory, at most; 0 keeps none. */
  readonly cacheEntries: number
  /** Bytes of memory that they take, at most: how many fit depends on how much their entities have done. */
  readonly cacheBytes: number
  /** Lost compare-and-sets of one entity in one batch, until the batch fails: another writer must let us through. */
  readonly roundsMax: number
  /** Called for every state that the store took. */
  readonly onWritten?: (entity: string, bytes: number) => void
}

export interface CachedStates {
  readonly entries: number
  /** By the account of {@link stateBytes}. */
  readonly bytes: number
}

/**
 * The states of all entities, read through a cache, written by compare-and-set. A state enters the cache only after
 * the store has it, and is never changed there; whoever loses a write loads again and computes again (R2).
 */
export class EntityStates {
  private readonly store: StateStore
  private readonly migration: EntityStatesOptions['migration']
  private readonly roundsMax: number
  private readonly onWritten: EntityStatesOptions['onWritten']
  private readonly cache: LRUCache<string, Loaded> | null
  /** The connection on which everything in the cache was read or written. */
  private cacheEpoch = 0
  private generation = 0

  constructor(options: EntityStatesOptions) {
    this.store = options.store
    this.migration = options.migration
    this.roundsMax = options.roundsMax
    this.onWritten = options.onWritten
    this.cache = cacheOf(options)
  }

  /** Forgets every cached state: after a partition changed hands, or a reconnect, others may have written. */
  clear(): void {
    this.generation += 1
    this.cache?.clear()
  }

  /** What the cache holds now. */
  get cached(): CachedStates {
    return { entries: this.cache?.size ?? 0, bytes: this.cache?.calculatedSize ?? 0 }
  }

  /**
   * Applies one batch's observations of one kind of entity and returns when all are in the store. Errors:
   * `state_unavailable`, `state_contended` (canRetry), `state_moved` when the store was reconnected since `at.epoch`
   * and may have lost writes, or was emptied, and those of decoding a state.
   */
  async settle(
    plan: EntityPlan,
    observations: ReadonlyMap<string, readonly Observation[]>,
    at: BatchPlace,
  ): Promise<SettleResult> {
    this.follow(at.epoch)
    const { generation } = this
    const answers = new Map<string, readonly Answer[]>()
    const loaded = new Map<string, Loaded>()
    const missing: string[] = []
    for (const id of observations.keys()) {
      const cached = this.cache?.get(cacheKey(plan, id))
      if (cached === undefined) missing.push(id)
      else loaded.set(id, cached)
    }
    await this.load(plan, missing, loaded, at)
    let pending = observations
    let conflicts = 0
    let written = 0
    for (let rounds = 0; pending.size > 0; rounds += 1) {
      if (rounds === this.roundsMax) {
        const reason = `${pending.size} states of ${plan.name} lost ${rounds} writes in a row`
        throw new RiverbankError('state_contended', reason, { canRetry: true })
      }
      const result = await this.round(plan, pending, loaded, { ...at, generation }, answers)
      written += result.written
      conflicts += result.lost.length
      for (const id of result.lost) this.cache?.delete(cacheKey(plan, id))
      await this.load(plan, result.lost, loaded, at)
      pending = new Map(result.lost.map((id) => [id, observations.get(id) ?? []]))
    }
    return { answers, conflicts, written }
  }

  /** What another connection has seen may be lost by now: answering from it would skip what must be applied again. */
  private follow(epoch: number): void {
    checkEpoch(this.store, epoch)
    if (this.cacheEpoch === epoch) return
    this.clear()
    this.cacheEpoch = epoch
  }

  /** A batch that began before everything was forgotten keeps what it knows to itself. */
  private remember(plan: EntityPlan, id: string, known: Loaded, generation: number): void {
    if (this.generation === generation) this.cache?.set(cacheKey(plan, id), known)
  }

  /** One attempt for every entity in `pending`; answers those that lost. */
  private async round(
    plan: EntityPlan,
    pending: ReadonlyMap<string, readonly Observation[]>,
    loaded: ReadonlyMap<string, Loaded>,
    at: BatchPlace & { readonly generation: number },
    answers: Map<string, readonly Answer[]>,
  ): Promise<{ lost: string[]; written: number }> {
    const proposals: { id: string; state: EntityState; blob: Uint8Array; base: Loaded }[] = []
    for (const [id, observations] of pending) {
      const base = loaded.get(id) ?? absent
      const observed = observe(plan, base.state, observations, at.partition, at.floorOffset)
      answers.set(id, observed.answers)
      if (!observed.changed || observed.state === null) this.remember(plan, id, base, at.generation)
      else proposals.push({ id, state: observed.state, blob: encodeState(plan, observed.state), base })
    }
    if (proposals.length === 0) return { lost: [], written: 0 }
    checkEpoch(this.store, at.epoch)
    const won = await this.store.compareAndSet(
      proposals.map(({ id, blob, base }) => ({
        key: keyOf(plan, id),
        expected: expectedOf(base),
        blob,
        ttlMs: plan.ttlMs,
      })),
    )
    const lost: string[] = []
    for (const [i, { id, state, blob, base }] of proposals.entries()) {
      if (won[i] === true) {
        // Most pairs are never seen again: a state earns its place when it comes back.
        if (base !== absent) this.remember(plan, id, { state, checksum: checksumIn(blob) }, at.generation)
        this.onWritten?.(plan.name, blob.length)
      } else lost.push(id)
    }
    return { lost, written: proposals.length - lost.length }
  }

  /**
   * Asked after the states: what was read from a store that was emptied, or that others have begun to fill again, would
   * be taken for whole, and go on in the middle.
   */
  private async checkNotEmptied({ topic, partition, applied }: BatchPlace): Promise<void> {
    const position = (await this.store.positions(topic)).get(partition) ?? -1
    if (position < applied) throw stateMoved('the state store was emptied')
  }

  private async load(
    plan: EntityPlan,
    ids: readonly string[],
    into: Map<string, Loaded>,
    at: BatchPlace,
  ): Promise<void> {
    if (ids.length === 0) return
    checkEpoch(this.store, at.epoch)
    const blobs = await this.store.load(ids.map((id) => keyOf(plan, id)))
    await this.checkNotEmptied(at)
    const states =
      (await this.migration?.decode(plan, blobs, at.topic)) ??
      blobs.map((blob) => (blob === null ? null : decodeState(plan, blob)))
    for (const [i, id] of ids.entries()) {
      const [state = null, blob = null] = [states[i], blobs[i]]
      into.set(id, state === null || blob === null ? absent : { state, checksum: checksumIn(blob) })
    }
  }
}

/** An entity that nobody has seen yet: its place in the cache. */
const absentBytes = 200

function cacheOf({ cacheEntries, cacheBytes }: EntityStatesOptions): LRUCache<string, Loaded> | null {
  if (cacheEntries === 0) return null
  const sizeCalculation = ({ state }: Loaded) => (state === null ? absentBytes : stateBytes(state))
  return new LRUCache<string, Loaded>({ max: cacheEntries, maxSize: cacheBytes, sizeCalculation })
}

/**
 * A server that came back may have lost acknowledged writes: what was computed before must not be mixed with it. Holds
 * for a command that is sent at once, on the connection that was looked at. Errors: `state_moved`.
 */
export function checkEpoch(store: Pick<StateStore, 'epoch'>, epoch: number): void {
  if (store.epoch !== epoch) throw stateMoved('the state store was reconnected during a batch')
}

/** What was computed must not be mixed with what is in the store: the claim begins again. */
export function stateMoved(why: string): RiverbankError {
  return new RiverbankError('state_moved', why)
}

function keyOf(plan: EntityPlan, id: string): EntityKey {
  return { entity: plan.name, id }
}

function cacheKey(plan: EntityPlan, id: string): string {
  return `${plan.name}:${id}`
}
