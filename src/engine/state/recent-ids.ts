import type { EventIdHash } from '../../events/event-id-hash.ts'
import { hourMs } from '../../base/units.ts'
import { deduplication } from '../limits.ts'

/** The ids that would be duplicates, oldest first. One array, because a state has few objects or is slow. */
export interface RecentIds {
  /** For each id the halves of its hash as signed 32-bit integers, its first offset, and the hour of that. */
  numbers: number[]
  /** How many ids in front are forgotten: left there until they outnumber the others. */
  forgotten: number
}

/** One id, in full. */
export interface RecentId {
  readonly high: number
  readonly low: number
  /** An event at another offset with this id is a duplicate. */
  readonly offset: number
  /** Hours since the epoch of the log's append time. */
  readonly appendHour: number
}

/** Numbers of each id. */
export const recentIdWidth = 4
const width = recentIdWidth
const at = { high: 0, low: 1, offset: 2, appendHour: 3 } as const

/** Shared by the states that remember none. */
export const noIds: RecentIds = { numbers: [], forgotten: 0 }

export function recentIdsOf(ids: readonly RecentId[]): RecentIds {
  return {
    numbers: ids.flatMap(({ high, low, offset, appendHour }) => [high | 0, low | 0, offset, appendHour]),
    forgotten: 0,
  }
}

export function recentIdList({ numbers, forgotten }: RecentIds): RecentId[] {
  const ids: RecentId[] = []
  for (let i = forgotten * width; i < numbers.length; i += width) {
    const [high, low] = [numbers[i + at.high] ?? NaN, numbers[i + at.low] ?? NaN]
    ids.push({ high, low, offset: numbers[i + at.offset] ?? NaN, appendHour: numbers[i + at.appendHour] ?? NaN })
  }
  return ids
}

/** How many ids are remembered. */
export function recentIdCount({ numbers, forgotten }: RecentIds): number {
  return numbers.length / width - forgotten
}

export function copyOfIds({ numbers, forgotten }: RecentIds): RecentIds {
  return { numbers: numbers.slice(forgotten * width), forgotten: 0 }
}

/** True when the id was seen before at another offset, within the deduplication horizon. */
export function wasElsewhere({ numbers, forgotten }: RecentIds, hash: EventIdHash, offset: number): boolean {
  const [high, low] = [hash.high | 0, hash.low | 0]
  for (let i = forgotten * width; i < numbers.length; i += width) {
    if (numbers[i + at.high] === high && numbers[i + at.low] === low && numbers[i + at.offset] !== offset) return true
  }
  return false
}

/** Whether the id is remembered as that of the event at this offset. */
export function isRememberedAt({ numbers, forgotten }: RecentIds, hash: EventIdHash, offset: number): boolean {
  const [high, low] = [hash.high | 0, hash.low | 0]
  for (let i = forgotten * width; i < numbers.length; i += width) {
    if (numbers[i + at.high] === high && numbers[i + at.low] === low && numbers[i + at.offset] === offset) return true
  }
  return false
}

/** Whether the id is remembered at all: for an event that has no offset yet, or was not applied at it. */
export function knowsEventId(ids: RecentIds, hash: EventIdHash): boolean {
  return wasElsewhere(ids, hash, -1)
}

export function rememberEventId(ids: RecentIds, hash: EventIdHash, offset: number, appendTimeMs: number): void {
  const { numbers } = ids
  const appendHour = Math.floor(appendTimeMs / hourMs)
  numbers.push(hash.high | 0, hash.low | 0, offset, appendHour)
  const total = numbers.length / width
  let forgotten = Math.max(ids.forgotten, total - deduplication.ids)
  // One hour more than promised, because the hour is all that is stored.
  const oldest = appendHour - deduplication.hours - 1
  while ((numbers[forgotten * width + at.appendHour] ?? appendHour) < oldest) forgotten += 1
  ids.forgotten = forgotten
  if (forgotten > total - forgotten && forgotten >= 8) Object.assign(ids, copyOfIds(ids))
}
