import { hashEventId } from '../events/event-id-hash.ts'
import { knowsEventId } from './state/recent-ids.ts'
import type { EntityState } from './state/state.ts'

/*
 * The engine's wall. Other rooms handle states by what this file exports, and by the files beside it; tables, rows,
 * cells and codes, in the folders below, are the engine's own (`walls` in eslint.architecture.js). How a state takes an
 * event and answers a read is in observe.ts.
 */

/** A state, its stored responses, and how far each partition was applied to it. */
export { outcomes } from './state/state.ts'
export type { EntityState, Outcome, PartitionProgress, ReadableState, StoredResponse } from './state/state.ts'
/** A state to change, and a partition's progress in it. */
export { beginDraft, setProgress } from './state/state.ts'
/** What a state takes in the memory of a process. */
export { stateBytes } from './state/state-size.ts'

/** States as bytes: encoded, decoded, and what compare-and-set compares. */
export { checksumIn, decodeState, encodeState, layoutIn, stateVersion, versionOf } from './state-codec/state-blob.ts'
/** Decodes blobs of every layout that is kept beside the states. */
export { StateDecoder } from './state-codec/state-decoder.ts'
export { fieldsOfSlot, layoutOf } from './state-codec/state-layout.ts'
export type { StateLayout } from './state-codec/state-layout.ts'

/** The missing history of a state, and how it is filled. */
export { earlierOf, fillMissingHistory, missingHistoryNumbers, slotsOf } from './evolution/fill-missing-history.ts'
export type { Earlier, WantedSlots } from './evolution/fill-missing-history.ts'

/** Whether an event with this id would be a duplicate, or was refused as one. Of states of the partition-key entity. */
export function knowsEvent({ recentIds }: EntityState, eventId: string): boolean {
  return knowsEventId(recentIds, hashEventId(eventId))
}
