import { expect } from 'vitest'
import { readRecordEvent } from '../../../src/events/codec/record-event.ts'
import { entityIdOf } from '../../../src/engine/plan.ts'
import { decodeState, stateVersion } from '../../../src/engine/state-codec/state-blob.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import type { EntityKey, StateStore, StateWrite } from '../../../src/ports/states.ts'
import { StoreIncarnations } from '../../../src/edges/redis/states/store-incarnations.ts'
import { compiled } from './wiring.ts'

/** Where states are, and how to put back what was there before: a server that loses its tail does that. */
export interface Vault {
  /** What it holds, whatever life it is in. */
  readonly store: Omit<StateStore, 'epoch'>
  /** The store as one process knows it: its epoch moves when it meets another life. */
  connect(): StateStore
  /** Everything is gone, and no connection with it. */
  empty(): Promise<void>
  put(key: EntityKey, blob: Uint8Array | null): Promise<void>
  putPosition(topic: string, partition: number, next: number | null): Promise<void>
}

/** A state store of a few lines that keeps the port's contract. */
export function memoryVault(): Vault {
  const blobs = new Map<string, Uint8Array>()
  const layouts = new Map<number, string>()
  const storeMetadata = new Map<string, string>()
  const positions = new Map<string, Map<number, number>>()
  const known = (topic: string) => positions.get(topic) ?? new Map<number, number>()
  const write = ({ key, expected, blob }: StateWrite): boolean => {
    const found = blobs.get(nameOf(key))
    const version = found === undefined ? null : stateVersion(found)
    if (version !== null && same(version, stateVersion(blob))) return true
    if (version === null ? expected !== null : expected === null || !same(version, expected)) return false
    blobs.set(nameOf(key), blob)
    return true
  }
  const putPosition = (topic: string, partition: number, next: number | null) => {
    const map = new Map(known(topic))
    if (next === null) map.delete(partition)
    else map.set(partition, next)
    positions.set(topic, map)
  }
  const lives = new Map<string, string>()
  const vault: Vault = {
    store: {
      load: async (keys) => keys.map((key) => blobs.get(nameOf(key)) ?? null),
      compareAndSet: async (writes) => writes.map(write),
      positions: async (topic) => new Map(known(topic)),
      advance: async (topic, partition, next, from = -1) => {
        const found = known(topic).get(partition) ?? -1
        if (next > found && found >= from) putPosition(topic, partition, next)
        return found >= from
      },
      layouts: async () => new Map(layouts),
      keepLayouts: async (kept) => {
        for (const [layout, text] of kept) layouts.set(layout, text)
      },
      metadata: async (name) => storeMetadata.get(name) ?? null,
      replaceMetadata: async (name, before, after) => {
        const found = storeMetadata.get(name) ?? null
        if (found !== before && found !== after) return false
        if (after === null) storeMetadata.delete(name)
        else storeMetadata.set(name, after)
        return true
      },
      close: async () => undefined,
    },
    put: async (key, blob) => {
      if (blob === null) blobs.delete(nameOf(key))
      else blobs.set(nameOf(key), blob)
    },
    putPosition: async (topic, partition, next) => putPosition(topic, partition, next),
    connect: () => living(vault.store, lives),
    empty: async () => {
      blobs.clear()
      positions.clear()
      lives.clear()
    },
  }
  return vault
}

let livesBegun = 0

/** As the drivers keep lives: each topic's positions have one from the first on. `lives` are those of the store. */
function living(store: Vault['store'], lives: Map<string, string>): StateStore {
  const met = new StoreIncarnations()
  return {
    ...store,
    get epoch() {
      return 1 + met.ended
    },
    positions: async (topic) => {
      met.met(topic, lives.get(topic) ?? '')
      return store.positions(topic)
    },
    advance: async (topic, partition, next, from) => {
      const isOther = met.of(topic) !== '' && met.of(topic) !== lives.get(topic)
      const isIntact = !isOther && (await store.advance(topic, partition, next, from))
      if (isIntact && !lives.has(topic)) lives.set(topic, `life ${(livesBegun += 1)}`)
      met.met(topic, lives.get(topic) ?? '')
      return isIntact
    },
  }
}

interface Chain {
  readonly key: EntityKey
  /** Every accepted state that was not lost again, oldest first. */
  readonly blobs: Uint8Array[]
}

/** One position of the log as an entity met it. */
interface Visit {
  readonly partition: number
  readonly offset: number
}

/** Remembers every acknowledged write, so that the last ones can be lost, and every entity's history be told. */
export class Ledger {
  /** Moves with every loss, as a reconnect would make it. */
  epoch = 1
  readonly #vault: Vault
  readonly #chains = new Map<string, Chain>()
  readonly #positions = new Map<string, number>()
  readonly #journal: (() => Promise<void>)[] = []

  constructor(vault: Vault) {
    this.#vault = vault
  }

  get store(): Omit<StateStore, 'epoch'> {
    return this.#watched(this.#vault.store)
  }

  /** For one process: its epoch moves with every loss, and when it meets another life. */
  connect(): StateStore {
    const store = this.#vault.connect()
    const epoch = () => this.epoch + store.epoch
    return {
      ...this.#watched(store),
      get epoch() {
        return epoch()
      },
    }
  }

  #watched(store: Omit<StateStore, 'epoch'>): Omit<StateStore, 'epoch'> {
    return {
      ...store,
      compareAndSet: async (writes) => {
        const won = await store.compareAndSet(writes)
        for (const [i, { key, blob }] of writes.entries()) if (won[i] === true) this.#accepted(key, blob)
        return won
      },
      advance: async (topic, partition, next, from) => {
        const isIntact = await store.advance(topic, partition, next, from)
        const name = `${topic}/${partition}`
        const before = this.#positions.get(name) ?? null
        if (!isIntact || (before !== null && before >= next)) return isIntact
        this.#positions.set(name, next)
        this.#journal.push(async () => {
          if (before === null) this.#positions.delete(name)
          else this.#positions.set(name, before)
          await this.#vault.putPosition(topic, partition, before)
        })
        return isIntact
      },
    }
  }

  get writes(): number {
    return this.#journal.length
  }

  /** The last so many acknowledged writes are gone, and every connection with them. */
  async lose(count: number): Promise<void> {
    this.epoch += 1
    for (let n = 0; n < count; n += 1) await this.#journal.pop()?.()
  }

  /** Everything is gone, and no connection with it: nobody is told. */
  async empty(): Promise<void> {
    while (this.#journal.length > 0) await this.#journal.pop()?.()
    await this.#vault.empty()
  }

  #accepted(key: EntityKey, blob: Uint8Array): void {
    const chain = this.#chains.get(nameOf(key)) ?? { key, blobs: [] }
    this.#chains.set(nameOf(key), chain)
    const before = chain.blobs.at(-1)
    // The answer to an earlier try was lost.
    if (before !== undefined && same(before, blob)) return
    chain.blobs.push(blob)
    this.#journal.push(async () => {
      chain.blobs.pop()
      await this.#vault.put(key, before ?? null)
    })
  }

  /** I1, told by the writes themselves: every valid event was applied once to each entity that it names. */
  checkAppliedOnce(events: readonly LogRecord[]): void {
    const expected = new Map<string, string[]>()
    for (const record of events) {
      const decoded = readRecordEvent(record, compiled.catalog)
      if (decoded.kind === 'invalid') continue
      const bindings = compiled.plan.events.get(decoded.event.eventType)?.bindings ?? []
      for (const [i, entity] of compiled.plan.entities.entries()) {
        const binding = bindings[i] ?? null
        if (binding === null) continue
        const id = entityIdOf(entity.keyFields, decoded.event.data)
        const name = nameOf({ entity: entity.name, id })
        expected.set(name, [...(expected.get(name) ?? []), `${record.partition}:${record.offset}`])
      }
    }
    const told = new Map(
      [...this.#chains]
        .map(
          ([name, chain]) => [name, visitsOf(chain).map(({ partition, offset }) => `${partition}:${offset}`)] as const,
        )
        .filter(([, visits]) => visits.length > 0),
    )
    const names = new Set([...expected.keys(), ...told.keys()])
    for (const name of names) {
      expect((told.get(name) ?? []).sort(), `I1: ${name}`).toEqual((expected.get(name) ?? []).sort())
    }
  }
}

/** What each write added: the snapshots that its predecessor had not handed out. */
function visitsOf({ key, blobs }: Chain): Visit[] {
  const plan = compiled.plan.entities.find(({ name }) => name === key.entity)
  if (plan === undefined) throw new Error(`there is no entity ${key.entity}`)
  const visits: Visit[] = []
  let next: number | null = null
  for (const blob of blobs) {
    const state = decodeState(plan, blob)
    const from: number = next ?? state.incarnation
    const added = state.partitions.flatMap(({ partition, responses }) =>
      responses.filter(({ sequence }) => sequence >= from).map(({ offset }) => ({ partition, offset })),
    )
    expect(added.length, `I1: ${nameOf(key)} counts what it was told`).toBe(state.sequence - from)
    visits.push(...added)
    next = state.sequence
  }
  return visits
}

function nameOf({ entity, id }: EntityKey): string {
  return `${entity}:${id}`
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
