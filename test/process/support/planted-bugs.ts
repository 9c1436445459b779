import {
  EntityStates,
  type BatchPosition,
  type EntityStatesOptions,
  type Written,
} from '../../../src/process/entity-states.ts'
import type { Answering, Loaded, Touched } from '../../../src/process/settle.ts'
import type { Observation } from '../../../src/engine/observation.ts'
import type { EntityState } from '../../../src/engine/state/state.ts'
import { stateVersion } from '../../../src/engine/state-codec/state-blob.ts'
import type { PartitionAssignment, OutgoingRecord } from '../../../src/ports/log.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import type { Plant } from './protocol-member.ts'

/** A bug, the rule it breaks, and whether it shows only where the store loses acknowledged writes. */
export interface PlantedBug extends Plant {
  readonly breaks: string
  readonly needsLosses: boolean
}

/** What states do otherwise than they should. */
interface Changes {
  readonly load?: (touched: readonly Touched[], at: BatchPosition) => { touched: readonly Touched[]; at: BatchPosition }
  readonly write?: (answering: readonly Answering[], at: BatchPosition) => readonly Answering[]
}

/** States that look differently at what a batch touches, or at what they write. */
function statesWith({ load, write }: Changes): (options: EntityStatesOptions) => EntityStates {
  class Changed extends EntityStates {
    override load(touched: readonly Touched[], at: BatchPosition): Promise<Loaded[]> {
      const changed = load?.(touched, at) ?? { touched, at }
      return super.load(changed.touched, changed.at)
    }

    override write(answering: readonly Answering[], at: BatchPosition): Promise<Written> {
      return super.write(write?.(answering, at) ?? answering, at)
    }
  }
  return (options) => new Changed(options)
}

function eachObservation(touched: readonly Touched[], change: (one: Observation) => Observation): Touched[] {
  return touched.map((one) => ({ ...one, observations: one.observations.map(change) }))
}

/** The state without the snapshots of a partition below an offset. */
function prunedBelow(offset: number, partition: number, state: EntityState): EntityState {
  const partitions = state.partitions.map((progress) =>
    progress.partition === partition
      ? { ...progress, responses: progress.responses.filter((response) => response.offset >= offset) }
      : progress,
  )
  return { ...state, partitions }
}

/** A store with one of its calls replaced; its epoch stays its own. */
function storeWith(store: StateStore, replaced: Partial<StateStore>): StateStore {
  return {
    ...store,
    get epoch() {
      return store.epoch
    },
    ...replaced,
  }
}

/** The claim without its batch's own commit: that comes when the next batch is done. */
function commitsLate(assignment: PartitionAssignment): PartitionAssignment {
  let due: number | null = null
  const { topic, partition, committed, range, signal } = assignment
  return {
    ...{ topic, partition, committed, range, signal },
    commit: async (next) => {
      const before = due
      due = next
      if (before !== null) await assignment.commit(before)
      if (next >= assignment.range.end) await assignment.commit(next)
    },
  }
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'a compare-and-set that does not compare',
    breaks: 'R2',
    needsLosses: false,
    store: (store) =>
      storeWith(store, {
        compareAndSet: async (writes) => {
          const found = await store.load(writes.map(({ key }) => key))
          return store.compareAndSet(
            writes.map((write, i) => ({ ...write, expected: versionOrNull(found[i] ?? null) })),
          )
        },
      }),
  },
  {
    name: 'a lost compare-and-set that is taken for won',
    breaks: 'R2',
    needsLosses: false,
    store: (store) =>
      storeWith(store, {
        compareAndSet: async (writes) => {
          await store.compareAndSet(writes)
          return writes.map(() => true)
        },
      }),
  },
  {
    name: 'snapshots that are pruned as soon as they are handed out',
    breaks: 'R3',
    needsLosses: false,
    states: statesWith({
      write: (answering, { partition, floorOffset }) =>
        answering.map((one) =>
          one.next === null ? one : { ...one, next: prunedBelow(floorOffset + 2, partition, one.next) },
        ),
    }),
  },
  {
    name: 'a batch that begins before the one before it is committed',
    breaks: 'R4',
    needsLosses: false,
    assignment: commitsLate,
  },
  {
    name: 'a position that is written before its entities',
    breaks: 'R6',
    needsLosses: true,
    pipeline: (pipeline, store) => async (batch, run) => {
      if (store.epoch === run.epoch) await store.advance(batch.topic, batch.partition, batch.next)
      return pipeline(batch, run)
    },
  },
  {
    name: 'emission below the commit after a rewind',
    breaks: 'R7',
    needsLosses: true,
    pipeline: (pipeline) => (batch, run) => pipeline(batch, { ...run, publishFrom: 0 }),
  },
  {
    name: 'a start at the position of the states, whatever was committed',
    breaks: 'I2',
    needsLosses: false,
    handler: (handler, { ledger }) => ({
      ...handler,
      assigned: async (assignment) => {
        const first = await handler.assigned(assignment)
        return Math.max(first, (await ledger.store.positions(assignment.topic)).get(assignment.partition) ?? 0)
      },
    }),
  },
  {
    name: 'a commit before what it covers is published',
    breaks: 'I4',
    needsLosses: false,
    publish: (publish) => {
      let waiting: readonly OutgoingRecord[] = []
      return async (records) => {
        const due = waiting
        waiting = records
        await publish(due)
        return []
      }
    },
  },
  {
    name: 'commits that nobody fences',
    breaks: 'I4',
    needsLosses: false,
    isUnfenced: true,
  },
  {
    name: 'event ids that are never remembered',
    breaks: 'I1, deduplication',
    needsLosses: false,
    states: statesWith({
      load: (touched, at) => ({
        touched: eachObservation(touched, (one) => ({ ...one, eventId: `${one.eventId}@${one.offset}` })),
        at,
      }),
    }),
  },
  {
    name: 'a duplicate that counts at the entities which do not decide',
    breaks: 'I1, deduplication',
    needsLosses: false,
    states: statesWith({
      load: (touched, at) => ({ touched: eachObservation(touched, (one) => ({ ...one, verdict: null })), at }),
    }),
  },
  {
    name: 'a reconnect that nobody notices',
    breaks: 'I1, the epoch',
    needsLosses: true,
    store: (store) => ({ ...store, epoch: 1 }),
  },
  {
    name: 'an emptied store that nobody notices',
    breaks: 'I1, the position',
    needsLosses: true,
    isLifeless: true,
    states: statesWith({ load: (touched, at) => ({ touched, at: { ...at, applied: -1 } }) }),
    store: (store) => storeWith(store, { advance: (topic, partition, next) => store.advance(topic, partition, next) }),
  },
  {
    name: 'a store that was emptied and filled again behind a zombie, and nobody notices',
    breaks: 'I1, the life',
    needsLosses: true,
    isLifeless: true,
  },
]

function versionOrNull(blob: Uint8Array | null): Uint8Array | null {
  return blob === null ? null : stateVersion(blob)
}
