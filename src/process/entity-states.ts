import { checksumIn, decodeState, encodeState, versionOf, stateBytes, type EntityState } from '../engine/states.ts'
import { LRUCache } from 'lru-cache'
import { itemAt } from '../base/arrays.ts'
import { RiverbankError } from '../base/errors.ts'
import type { EntityPlan } from '../engine/plan.ts'
import type { EntityKey, StateStore, StateWrite } from '../ports/states.ts'
import type { Answering, CachedState, Loaded, BatchFloor, StoredState, Touched } from './settle.ts'
import type { StateMigration } from './assignment/state-migration.ts'

const absent: StoredState = { state: null, checksum: 0 }

function expectedOf({ state, checksum }: StoredState): Uint8Array | null {
  return state === null ? null : versionOf(state.sequence, checksum)
}

/** States that came with an earlier command of the batch, by the key of the cache. */
export type StatesAhead = Map<string, AheadState>

interface AheadState {
  readonly base: StoredState
  /** The cache's generation when the state was read. */
  readonly clearings: number
}

/** What is known of an entity without asking the store; `base` is null when it must be asked. */
interface Known {
  readonly base: StoredState | null
  readonly cached: CachedState | null
  readonly clearings: number
}

/** Where a batch stands, and on which connection of the store it began. */
export interface BatchPosition extends BatchFloor {
  readonly topic: string
  /** The partition's position, as the store knew it last: it can only know more by now. */
  readonly applied: number
  readonly epoch: number
}

/** The outcome of one write. */
export interface Written {
  /** Their answers hold: the store has their states, or had them before. */
  readonly settled: readonly Answering[]
  /** To be loaded and observed again: another writer was faster (R2). */
  readonly lost: readonly Touched[]
}

export interface EntityStatesOptions {
  readonly store: StateStore
  /** Reads states of other feature sets; without it they are refused. */
  readonly migration?: Pick<StateMigration, 'decode'>
  /** Decoded states kept in memory, at most; 0 keeps none. */
  readonly cacheEntries: number
  /** Bytes of memory that they take, at most: how many fit depends on how much their entities have done. */
  readonly cacheBytes: number
  /** Compare-and-sets that an entity may lose in one batch before the batch fails. */
  readonly roundsMax: number
  /** Called for every state that the store took. */
  readonly onWritten?: (entity: string, bytes: number) => void
}

export interface CachedStates {
  readonly entries: number
  /** As {@link stateBytes} counts them. */
  readonly bytes: number
}

/**
 * The states of all entities, read through a cache, written by compare-and-set. A state enters the cache only after the
 * store has it, and is never changed there; an entity that lost a write is loaded and computed again (R2).
 */
export class EntityStates {
  private readonly store: StateStore
  private readonly migration: EntityStatesOptions['migration']
  private readonly roundsMax: number
  private readonly onWritten: EntityStatesOptions['onWritten']
  private readonly cache: LRUCache<string, CachedState> | null
  /** The connection on which everything in the cache was read or written. */
  private cacheEpoch = 0
  private clearings = 0

  constructor(options: EntityStatesOptions) {
    this.store = options.store
    this.migration = options.migration
    this.roundsMax = options.roundsMax
    this.onWritten = options.onWritten
    this.cache = cacheOf(options)
  }

  /** Forgets every cached state: after a partition changed hands, or a reconnect, others may have written. */
  clear(): void {
    this.clearings += 1
    this.cache?.clear()
  }

  get cached(): CachedStates {
    return { entries: this.cache?.size ?? 0, bytes: this.cache?.calculatedSize ?? 0 }
  }

  /**
   * The states of these entities, in their order: from the cache, from what came `ahead`, and from the store what
   * neither has and what has lost a write. What the cache does not have of those that the batch loads `later` comes
   * ahead with the same command. Errors: `state_unavailable` (canRetry), `state_moved` when the store was reconnected
   * since `at.epoch` and may have lost writes, or was emptied, and those of decoding a state.
   */
  async load(
    touched: readonly Touched[],
    at: BatchPosition,
    ahead: StatesAhead = new Map(),
    later: readonly Touched[] = [],
  ): Promise<Loaded[]> {
    this.follow(at.epoch)
    const { clearings } = this
    const missing: Touched[] = []
    const known = touched.map((one): Known => {
      const key = cacheKey(one.entity, one.id)
      const cached = one.lost > 0 ? undefined : this.cache?.get(key)
      if (cached !== undefined) return { base: cached.known, cached, clearings }
      const came = one.lost > 0 ? undefined : ahead.get(key)
      if (came !== undefined) return { base: came.base, cached: null, clearings: came.clearings }
      missing.push(one)
      return { base: null, cached: null, clearings }
    })
    const also = later.filter(({ entity, id }) => {
      const key = cacheKey(entity, id)
      return this.cache?.has(key) !== true && !ahead.has(key)
    })
    const wanted = [...missing, ...also]
    const found = wanted.length === 0 ? [] : await this.fetch(wanted, at)
    for (const [i, { entity, id }] of also.entries()) {
      ahead.set(cacheKey(entity, id), { base: found[missing.length + i] ?? absent, clearings })
    }
    let next = 0
    return known.map(({ base, cached, clearings: readIn }, i) => {
      return { touched: itemAt(touched, i), base: base ?? found[next++] ?? absent, cached, clearings: readIn }
    })
  }

  /**
   * Writes the states that changed, each by compare-and-set with what was loaded. Errors: `state_unavailable`,
   * `state_contended` (both canRetry), `state_moved` as for loading.
   */
  async write(answering: readonly Answering[], { epoch }: BatchPosition): Promise<Written> {
    const settled: Answering[] = []
    const proposals: Proposal[] = []
    for (const one of answering) {
      const { touched, next, isChanged } = one
      if (!isChanged || next === null) {
        this.remember(one, one.base)
        settled.push(one)
      } else proposals.push({ one, state: next, blob: encodeState(touched.entity, next) })
    }
    if (proposals.length === 0) return { settled, lost: [] }
    checkEpoch(this.store, epoch)
    const won = await this.store.compareAndSet(proposals.map(writeOf))
    const losers: Touched[] = []
    for (const [i, { one, state, blob }] of proposals.entries()) {
      if (won[i] === true) {
        // Most new entities are never seen again: a state enters the cache when its entity comes back.
        if (one.base !== absent) this.remember(one, { state, checksum: checksumIn(blob) })
        this.onWritten?.(one.touched.entity.name, blob.length)
        settled.push(one)
      } else {
        this.cache?.delete(cacheKey(one.touched.entity, one.touched.id))
        losers.push(one.touched)
      }
    }
    return { settled, lost: losers.map((one) => this.loser(one)) }
  }

  /** Errors: `state_contended` (canRetry). */
  private loser({ entity, index, id, observations, places, lost }: Touched): Touched {
    if (lost + 1 < this.roundsMax) return { entity, index, id, observations, places, lost: lost + 1 }
    const reason = `a state of ${entity.name} lost ${lost + 1} writes in a row`
    throw new RiverbankError('state_contended', reason, { canRetry: true })
  }

  /** The store may have lost what another connection saw: to answer from that would skip events to apply again. */
  private follow(epoch: number): void {
    checkEpoch(this.store, epoch)
    if (this.cacheEpoch === epoch) return
    this.clear()
    this.cacheEpoch = epoch
  }

  /**
   * A batch that began before the cache was cleared adds nothing to it. The entry that the state came from takes the
   * next one as it is: to count its size again, and to enter it again, costs 2 µs of an event.
   */
  private remember({ touched, cached, clearings }: Loaded, known: StoredState): void {
    if (this.clearings !== clearings || this.cache === null) return
    if (cached !== null && isCounted(cached, known)) cached.known = known
    else this.cache.set(cacheKey(touched.entity, touched.id), entryOf(known))
  }

  /**
   * Runs after the states were read: a store that was emptied, or that others have begun to fill again, would look
   * whole, and the batch would go on in the middle.
   */
  private async checkNotEmptied({ topic, partition, applied }: BatchPosition): Promise<void> {
    const position = (await this.store.positions(topic)).get(partition) ?? -1
    if (position < applied) throw stateMoved('the state store was emptied')
  }

  private async fetch(missing: readonly Touched[], at: BatchPosition): Promise<StoredState[]> {
    checkEpoch(this.store, at.epoch)
    const blobs = await this.store.load(missing.map(({ entity, id }) => keyOf(entity, id)))
    await this.checkNotEmptied(at)
    const states = await this.decode(missing, blobs, at.topic)
    return blobs.map((blob, i) => {
      const state = states[i] ?? null
      return state === null || blob === null ? absent : { state, checksum: checksumIn(blob) }
    })
  }

  /** States in the order of the blobs; entities of one kind stand side by side. */
  private async decode(
    missing: readonly Touched[],
    blobs: readonly (Uint8Array | null)[],
    topic: string,
  ): Promise<readonly (EntityState | null)[]> {
    const states: (EntityState | null)[] = []
    for (const [from, { entity }] of missing.entries()) {
      if (from < states.length) continue
      const after = missing.findIndex((one, i) => i > from && one.entity !== entity)
      const own = blobs.slice(from, after < 0 ? undefined : after)
      const decoded =
        (await this.migration?.decode(entity, own, topic)) ??
        own.map((blob) => (blob === null ? null : decodeState(entity, blob)))
      for (const state of decoded) states.push(state)
    }
    return states
  }
}

/** A state on its way into the store. */
interface Proposal {
  readonly one: Answering
  readonly state: EntityState
  readonly blob: Uint8Array
}

function writeOf({ one, blob }: Proposal): StateWrite {
  const { entity, id } = one.touched
  return { key: keyOf(entity, id), expected: expectedOf(one.base), blob, ttlMs: entity.ttlMs }
}

/** The cache entry of an entity without a state. */
const absentBytes = 200
/** The size of a state is counted again after so many observations. */
const countedEvery = 16

function entryOf(known: StoredState): CachedState {
  return { known, countedAt: known.state?.sequence ?? 0 }
}

/** Not of a state that keeps other labels that wait, or none any more: each holds a record, of any size. */
function isCounted({ known: before, countedAt }: CachedState, { state }: StoredState): boolean {
  if (before.state === null || state === null || before.state.waiting !== state.waiting) return false
  return state.sequence - countedAt < countedEvery
}

function cacheOf({ cacheEntries, cacheBytes }: EntityStatesOptions): LRUCache<string, CachedState> | null {
  if (cacheEntries === 0) return null
  const sizeCalculation = ({ known: { state } }: CachedState) => (state === null ? absentBytes : stateBytes(state))
  return new LRUCache<string, CachedState>({ max: cacheEntries, maxSize: cacheBytes, sizeCalculation })
}

/**
 * A server that came back may have lost acknowledged writes: what was computed before must not be mixed with it. The
 * check holds for a command that is sent at once on the same connection. Errors: `state_moved`.
 */
export function checkEpoch(store: Pick<StateStore, 'epoch'>, epoch: number): void {
  if (store.epoch !== epoch) throw stateMoved('the state store was reconnected during a batch')
}

/** The store no longer matches what was computed: the assignment begins again. */
export function stateMoved(why: string): RiverbankError {
  return new RiverbankError('state_moved', why)
}

function keyOf(plan: EntityPlan, id: string): EntityKey {
  return { entity: plan.name, id }
}

function cacheKey(plan: EntityPlan, id: string): string {
  return `${plan.name}:${id}`
}
