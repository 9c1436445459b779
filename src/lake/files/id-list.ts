import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hashEventId } from '../../events/event-id-hash.ts'
import type { ColumnData } from '../../ports/tables.ts'
import { isErrno, makeFolder } from '../commit/durable.ts'
import type { IdentityColumns } from '../tables/table.ts'

/**
 * Which ids a file of the lake holds: 32 bits of each event id, sorted, and 32 bits of aggregate and id together. It
 * lies in a folder of its own, and rules an id out without a query. It is derived from the file, so no part of the
 * lake's truth: where it is missing or torn, the reader queries the file itself.
 *
 *   bytes 0-3  'RBID'   4-7  format 1   8-11  entries n   12-43  sha256 of what follows
 *   n × 4 bytes of ids, ascending; n × 4 bytes of identities, in the order of the ids; little-endian
 */
export interface IdList {
  readonly ids: Uint32Array
  readonly identities: Uint32Array
}

const magic = 0x44494252
const headBytes = 44
export const idListFolder = '_ids'

export function idHash(eventId: string): number {
  return hashEventId(eventId).low
}

export function identityHash(aggregateId: string, eventId: string): number {
  return hashEventId(`${aggregateId}\n${eventId}`).high
}

export type IdRow = readonly [aggregateId: string | null, eventId: string | null]

/** Rows without an identity (a record that is no event) are left out. */
export function idListOf(rows: Iterable<IdRow>): IdList {
  const pairs: [number, number][] = []
  for (const [aggregateId, eventId] of rows) {
    if (aggregateId !== null && eventId !== null) pairs.push([idHash(eventId), identityHash(aggregateId, eventId)])
  }
  return sorted(pairs)
}

export function mergedIdLists(lists: readonly IdList[]): IdList {
  return sorted(
    lists.flatMap(({ ids, identities }) => Array.from(ids, (id, i): [number, number] => [id, identities[i] ?? 0])),
  )
}

/** The list of a file that is about to be written; null for a table that nobody looks up by id. */
export function idListOfColumns(
  named: IdentityColumns | undefined,
  columns: readonly ColumnData[],
  rows: number,
): IdList | null {
  if (named === undefined) return null
  const texts = (name: string) => columns.find((column) => column.name === name)?.values
  const [aggregates, ids] = [texts(named.aggregate), texts(named.id)]
  if (!Array.isArray(aggregates) || !Array.isArray(ids)) return null
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return idListOf(Array.from({ length: rows }, (_, i): IdRow => [text(aggregates[i]), text(ids[i])]))
}

/** Not synced: readers detect a torn list, and the keeper makes it again. */
export async function writeIdList(dir: string, path: string, { ids, identities }: IdList): Promise<void> {
  await makeFolder(join(dir, idListFolder))
  const body = Buffer.alloc(ids.length * 8)
  for (const [i, id] of ids.entries()) {
    body.writeUInt32LE(id, i * 4)
    body.writeUInt32LE(identities[i] ?? 0, (ids.length + i) * 4)
  }
  const head = Buffer.alloc(headBytes)
  head.writeUInt32LE(magic, 0)
  head.writeUInt32LE(1, 4)
  head.writeUInt32LE(ids.length, 8)
  createHash('sha256').update(body).digest().copy(head, 12)
  await writeFile(listPath(dir, listName(path)), Buffer.concat([head, body]))
}

/** Null when there is none, or none that can be trusted. */
export async function readIdList(dir: string, path: string): Promise<IdList | null> {
  let bytes: Buffer
  try {
    bytes = await readFile(listPath(dir, listName(path)))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
  if (bytes.length < headBytes || bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(4) !== 1) return null
  const count = bytes.readUInt32LE(8)
  const body = bytes.subarray(headBytes)
  if (body.length !== count * 8) return null
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(12, headBytes))) return null
  const [ids, identities] = [new Uint32Array(count), new Uint32Array(count)]
  for (let i = 0; i < count; i += 1) {
    ids[i] = body.readUInt32LE(i * 4)
    identities[i] = body.readUInt32LE((count + i) * 4)
  }
  return { ids, identities }
}

/** Identities in the list under this id; empty: the file does not hold it. */
export function identitiesIn({ ids, identities }: IdList, id: number): number[] {
  let [low, high] = [0, ids.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ids[middle] ?? 0) < id) low = middle + 1
    else high = middle
  }
  const found: number[] = []
  for (; ids[low] === id; low += 1) found.push(identities[low] ?? 0)
  return found
}

export async function removeIdList(dir: string, name: string): Promise<void> {
  await rm(listPath(dir, name), { force: true })
}

/** Names of the data files that have a list, trusted or not. */
export async function listedFiles(dir: string): Promise<ReadonlySet<string>> {
  try {
    const names = await readdir(join(dir, idListFolder))
    return new Set(names.filter((name) => name.endsWith('.ids')).map((name) => name.slice(0, -'.ids'.length)))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return new Set()
    throw error
  }
}

/** A file's name is its own in the whole lake, but for its table: rows of one batch go to several. */
export function listName(path: string): string {
  return `${path.slice(0, path.indexOf('/'))}-${basename(path)}`
}

export function listPath(dir: string, name: string): string {
  return join(dir, idListFolder, `${name}.ids`)
}

function sorted(pairs: [number, number][]): IdList {
  pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return { ids: Uint32Array.from(pairs, ([id]) => id), identities: Uint32Array.from(pairs, ([, identity]) => identity) }
}
