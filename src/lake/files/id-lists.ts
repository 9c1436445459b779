import { dirname } from 'node:path'
import type { FileEntry } from '../commit/commit.ts'
import { idHash, identitiesIn, identityHash, listedFiles, listName, listPath, readIdList } from './id-list.ts'
import { idListOf, removeIdList, writeIdList, type IdList, type IdRow } from './id-list.ts'
import type { Lake } from '../commit/lake.ts'
import type { LakeSchema } from '../tables/lake-schema.ts'
import { ageMs } from '../commit/log-files.ts'
import { tableNames, type TableName } from '../tables/table.ts'

export interface IdListsOptions {
  readonly lake: Lake
  /**
   * Most memory for lists, at 8 bytes a row. Lists beyond it, those of the oldest files, are read from disk on demand.
   */
  readonly bytesMax: number
  /** How old the view of the lake may be. */
  readonly maxAgeMs: number
  readonly nowMs: () => number
}

/** A file that may hold an id. `identities`: of its rows under this id; null where it has no list. */
export interface Candidate {
  readonly file: FileEntry
  readonly identities: readonly number[] | null
}

/** Finds the files of the lake that may hold an id, without a query. */
export class IdLists {
  readonly #options: IdListsOptions
  readonly #held = new Map<string, { readonly list: Promise<IdList | null>; readonly bytes: number }>()
  #bytes = 0
  #version = -1
  /** Newest first. */
  readonly #files = new Map<TableName, readonly FileEntry[]>()
  #refreshing: Promise<void> | null = null
  #refreshedAtMs = -Infinity

  constructor(options: IdListsOptions) {
    this.#options = options
  }

  /** Candidates of one table, the newest first. With an aggregate only those that may hold this identity. */
  async candidates(table: TableName, eventId: string, aggregateId: string | null): Promise<readonly Candidate[]> {
    await this.#refresh()
    const id = idHash(eventId)
    const wanted = aggregateId === null ? null : identityHash(aggregateId, eventId)
    const found: Candidate[] = []
    for (const file of this.#files.get(table) ?? []) {
      const list = await this.#list(file)
      const identities = list === null ? null : identitiesIn(list, id)
      const may = identities === null || (wanted === null ? identities.length > 0 : identities.includes(wanted))
      if (may) found.push({ file, identities })
    }
    return found
  }

  /** Caches a list while there is room; a file never changes. */
  #list(file: FileEntry): Promise<IdList | null> {
    const held = this.#held.get(file.path)
    if (held !== undefined) return held.list
    const list = readIdList(this.#options.lake.dir, file.path)
    const bytes = file.rows * 8
    if (this.#bytes + bytes > this.#options.bytesMax) return list
    this.#held.set(file.path, { list, bytes })
    this.#bytes += bytes
    // A missing list may come.
    const drop = () => this.#drop(file.path)
    list.then((found) => (found === null ? drop() : undefined), drop)
    return list
  }

  #drop(path: string): void {
    const held = this.#held.get(path)
    if (held === undefined) return
    this.#held.delete(path)
    this.#bytes -= held.bytes
  }

  async #refresh(): Promise<void> {
    const { nowMs, maxAgeMs } = this.#options
    if (nowMs() - this.#refreshedAtMs < maxAgeMs) return
    this.#refreshing ??= this.#look().finally(() => (this.#refreshing = null))
    await this.#refreshing
  }

  async #look(): Promise<void> {
    const { lake, nowMs } = this.#options
    const startedMs = nowMs()
    const { version, files } = await lake.snapshot()
    if (version !== this.#version) {
      this.#version = version
      this.#files.clear()
      for (const table of tableNames) {
        const own = files.filter((file) => file.table === table)
        this.#files.set(
          table,
          own.toSorted((a, b) => (dayOf(a) === dayOf(b) ? b.lastOffset - a.lastOffset : dayOf(a) < dayOf(b) ? 1 : -1)),
        )
      }
      const paths = new Set(files.map(({ path }) => path))
      for (const path of this.#held.keys()) if (!paths.has(path)) this.#drop(path)
    }
    this.#refreshedAtMs = startedMs
  }
}

/** Reads the identities of a file's rows. */
export type ReadIds = (
  file: FileEntry,
  columns: { readonly aggregate: string; readonly id: string },
) => Promise<IdRow[]>

/** How long an orphaned list stays: its file may be about to be committed. */
const orphanGraceMs = 600_000

export interface KeepLimits {
  /** Lists made in one turn, at most. */
  readonly max: number
  readonly nowMs: number
}

/**
 * Makes lists that are missing or cannot be trusted (of files that an older program or a repair wrote), and removes
 * those of files that are gone; answers how many it made. Reads each list once.
 */
export function createIdListKeeper(
  lake: Lake,
  schema: Pick<LakeSchema, 'identities'>,
  readIds: ReadIds,
): (limits: KeepLimits) => Promise<number> {
  let trusted = new Set<string>()
  return async ({ max, nowMs }) => {
    // List first, then compare: a file that was committed in between is known by then.
    const listed = await listedFiles(lake.dir)
    const { files: byPath, retired } = await lake.log.refresh()
    const files = [...byPath.values()]
    const known = new Set([...byPath.keys(), ...retired.keys()].map(listName))
    for (const name of listed) {
      if (known.has(name)) continue
      const age = await ageMs(listPath(lake.dir, name), nowMs)
      if (age !== null && age >= orphanGraceMs) await removeIdList(lake.dir, name)
    }
    trusted = new Set(files.map(({ path }) => path).filter((path) => trusted.has(path)))
    let made = 0
    for (const file of files) {
      const columns = schema.identities[file.table]
      if (columns === undefined || trusted.has(file.path)) continue
      const isThere = listed.has(listName(file.path)) && (await readIdList(lake.dir, file.path)) !== null
      if (!isThere) {
        if (made === max) break
        await writeIdList(lake.dir, file.path, idListOf(await readIds(file, columns)))
        made += 1
      }
      trusted.add(file.path)
    }
    return made
  }
}

function dayOf({ path }: FileEntry): string {
  return dirname(path)
}
