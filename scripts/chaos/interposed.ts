import type { Order, Point, Word } from './messages.ts'
import type { ProcessPorts } from '../../src/app/roles/process-role.ts'
import { isRiverbankError } from '../../src/base/errors.ts'
import type { PartitionAssignment, EventLog, GroupHandler } from '../../src/ports/log.ts'
import type { StateStore } from '../../src/ports/states.ts'

/** The processor's connection to the harness: reports what happened, and receives orders. */
export interface Wire {
  say(word: Word): void
  onOrder(listener: (order: Order) => void): void
}

/** Holds a processor at a point until an order lets it go on, or it is killed there. */
class Gate {
  readonly #wire: Wire
  #armed: { readonly point: Point; left: number } | null = null
  #go: (() => void) | null = null
  #blockMs = 0

  constructor(wire: Wire) {
    this.#wire = wire
    wire.onOrder((order) => {
      if (order.kind === 'hold') this.#armed = { point: order.point, left: order.nth }
      else if (order.kind === 'block') this.#blockMs = order.ms
      else this.#go?.()
    })
  }

  /** Keeps the event loop busy, if ordered: it reads no socket meanwhile, and no timer fires. */
  block(): void {
    const ms = this.#blockMs
    if (ms === 0) return
    this.#blockMs = 0
    const endMs = performance.now() + ms
    while (performance.now() < endMs);
    this.#wire.say({ kind: 'blocked', ms })
  }

  async pass(point: Point): Promise<void> {
    const armed = this.#armed
    if (armed?.point !== point) return
    armed.left -= 1
    if (armed.left > 0) return
    this.#armed = null
    this.#wire.say({ kind: 'held', point })
    await new Promise<void>((resolve) => (this.#go = resolve))
  }
}

/** Wraps the ports of a processor, and holds it at the ordered points. */
export function interposed(ports: ProcessPorts, wire: Wire, sessionTimeoutMs: number): ProcessPorts {
  const gate = new Gate(wire)
  return {
    store: interposedStore(ports.store, gate, wire),
    log: interposedLog(ports.log, gate, wire, sessionTimeoutMs),
  }
}

function interposedStore(store: StateStore, gate: Gate, wire: Wire): StateStore {
  return {
    ...store,
    get epoch() {
      return store.epoch
    },
    load: async (keys) => {
      const found = await store.load(keys)
      await gate.pass('after-load')
      return found
    },
    compareAndSet: async (writes) => {
      await gate.pass('before-write')
      const writing = store.compareAndSet(writes)
      gate.block()
      const won = await writing
      const count = won.filter((one) => !one).length
      if (count > 0) wire.say({ kind: 'conflicts', count })
      await gate.pass('after-write')
      return won
    },
    advance: async (topic, partition, next, from) => {
      await gate.pass('before-advance')
      const isIntact = await store.advance(topic, partition, next, from)
      await gate.pass('after-advance')
      return isIntact
    },
  }
}

function interposedLog(log: EventLog, gate: Gate, wire: Wire, sessionTimeoutMs: number): EventLog {
  return {
    ...log,
    publish: async (records) => {
      await gate.pass('before-publish')
      const positions = await log.publish(records)
      await gate.pass('after-publish')
      return positions
    },
    consume: (options, handler) =>
      log.consume({ ...options, sessionTimeoutMs }, interposedHandler(handler, gate, wire)),
  }
}

function interposedHandler(handler: GroupHandler, gate: Gate, wire: Wire): GroupHandler {
  const wrapped = new WeakMap<PartitionAssignment, PartitionAssignment>()
  const around = (assignment: PartitionAssignment): PartitionAssignment => {
    const known = wrapped.get(assignment)
    if (known !== undefined) return known
    const { topic, partition, committed, range, signal } = assignment
    const commit = async (next: number) => {
      await gate.pass('before-commit')
      await assignment.commit(next)
      wire.say({ kind: 'committed', partition, next })
      await gate.pass('after-commit')
    }
    const guarded: PartitionAssignment = { topic, partition, committed, range, signal, commit }
    wrapped.set(assignment, guarded)
    return guarded
  }
  return {
    assigned: async (assignment) => {
      const first = await handler.assigned(around(assignment))
      wire.say({ kind: 'assigned', partition: assignment.partition })
      return first
    },
    released: async (assignment) => handler.released?.(around(assignment)),
    batch: async (assignment, batch) => {
      try {
        return await handler.batch(around(assignment), batch)
      } catch (error) {
        if (isRiverbankError(error, 'fenced')) wire.say({ kind: 'fenced', partition: assignment.partition })
        throw error
      }
    },
  }
}
