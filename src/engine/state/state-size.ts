import type { Labels } from './labels.ts'
import type { RecentIds } from './recent-ids.ts'
import { pointsOf, valuesOf, type SlotList } from '../tiles/slot.ts'
import { tablesOf, type EntityState, type PartitionProgress } from './state.ts'
import type { Subjects } from './subjects.ts'
import type { TileTable } from '../tiles/tiles.ts'

/** Bytes of V8 on 64 bits: an element of an array, an object with its fields; how much longer grown arrays are. */
const [element, object, spare] = [8, 64, 1.4] as const
/** State, progress, version, and the entry of a cache with its key. */
const stateBytesMin = 1_080
/** A table and the arrays that it has at least. */
const tableBytesMin = 100
/** A feature in a stored response is a number by itself. */
const featureBytes = 24
/** A point is an object of two numbers. */
const pointBytes = 80

/**
 * About how many bytes of memory a state takes: at least what the heap grows by, and less than twice that, as
 * `test/engine/state/state-size.test.ts` measures. What versions of a table share is counted in each, because a cache
 * holds one.
 */
export function stateBytes(state: EntityState): number {
  let bytes = stateBytesMin + idBytes(state.recentIds) + idBytes(state.subjects) + labelBytes(state.labels)
  for (const { record } of state.waiting) bytes += 3 * object + record.length
  for (const table of tablesOf(state)) bytes += tableBytes(table)
  for (const progress of state.partitions) bytes += progressBytes(progress)
  return Math.ceil(bytes)
}

/** A version copies the ids and adds one, which makes an array half as large again. */
function idBytes({ numbers }: RecentIds | Subjects): number {
  return numbers.length * element * 1.5
}

function labelBytes(labels: Labels): number {
  let bytes = 0
  for (const { data } of labels) bytes += 3 * object + Object.keys(data).length * object
  return bytes
}

function tableBytes({ cells, lists, written, base }: TileTable): number {
  let bytes =
    tableBytesMin + cells.length * element * spare + written.bytes.length + written.ends.length * element * spare
  for (const column of lists) {
    bytes += column.length * element * spare
    for (const list of column) bytes += listBytes(list)
  }
  if (base !== null) {
    bytes += 2 * object + base.cells.length * element
    for (const list of base.lists) if (list !== undefined) bytes += listBytes(list)
  }
  return bytes
}

/** Points, or different values: a text among them is counted by its length. */
function listBytes(list: SlotList): number {
  const [first] = list
  if (first === undefined) return 0
  if (typeof first === 'object') return object + pointsOf(list).length * pointBytes
  let bytes = object
  for (const value of valuesOf(list) ?? [])
    bytes += typeof value === 'string' ? 2 * element + object / 2 + value.length : 2 * element
  return bytes
}

function progressBytes({ responses }: PartitionProgress): number {
  let bytes = object
  for (const { features, released } of responses) {
    bytes += 2 * object + (features?.length ?? 0) * featureBytes
    for (const record of released) bytes += object + record.length
  }
  return bytes
}
