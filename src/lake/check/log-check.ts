import { isRiverbankError } from '../../core/errors.ts'
import { applyCommit, emptyState, faultOf, partitionKey, stateOf } from '../commit.ts'
import type { Checkpoint, Commit, FileEntry, Head, LakeState, LostRange } from '../commit.ts'
import { keptVersionsDefault } from '../commit-log.ts'
import { checkpointName, commitName, headName, listLog, readCheckpoint, readCommit, readHead } from '../log-files.ts'
import type { ReadCommit } from '../log-files.ts'

/** One file of the log that is not what was written. */
export interface LogFault {
  readonly kind: 'commit' | 'checkpoint' | 'head'
  /** `altered`: another commit than the chain names; `foreign`: it does not follow the one before it. */
  readonly damage: 'missing' | 'unreadable' | 'altered' | 'foreign'
  readonly name: string
  /** Null for the head. */
  readonly version: number | null
  readonly detail: string
  /** What the file's checksum must be, null where nothing tells. */
  readonly digest: string | null
}

export interface LogCheck {
  readonly faults: readonly LogFault[]
  /** Names of files that no writer of this lake leaves in its log. */
  readonly foreign: readonly string[]
  readonly commits: number
  /** The newest checkpoint that can be read; 0 where there is none. Readers need nothing below it. */
  readonly base: number
  /** What the intact commits come to, at the newest version that is known of. */
  readonly state: LakeState
  /** Positions that a later commit takes for covered and that only a missing commit can have named. */
  readonly holes: readonly LostRange[]
}

/** Reads every commit, checkpoint and the head of a log; changes nothing. */
export async function checkLog(folder: string): Promise<LogCheck> {
  const listing = await listLog(folder)
  const faults: LogFault[] = []
  const head = await readOr(() => readHead(folder), { kind: 'head', name: headName, version: null }, faults)
  const checkpoints = new Map<number, Checkpoint>()
  for (const version of listing.checkpoints) {
    const what = { kind: 'checkpoint', name: checkpointName(version), version } as const
    const checkpoint = await readOr(() => readCheckpoint(folder, version), what, faults)
    if (checkpoint !== null) checkpoints.set(version, checkpoint)
  }
  const base = Math.max(0, ...checkpoints.keys())
  const newest = Math.max(base, listing.commits.at(-1) ?? 0, head?.version ?? 0)
  const first = firstExpected(base, listing.commits)
  const commits = new Map<number, ReadCommit>()
  for (let version = first; version <= newest; version += 1) {
    const what = { kind: 'commit', name: commitName(version), version } as const
    const commit = await readOr(() => readCommit(folder, version), what, faults)
    if (commit !== null) commits.set(version, commit)
  }
  const unreadable = new Set(faults.flatMap(({ kind, version }) => (kind === 'commit' ? (version ?? []) : [])))
  const digests = expectedDigests(head, checkpoints, commits, newest, first)
  for (let version = first; version <= newest; version += 1) {
    const found = commits.get(version)
    const digest = digests.get(version) ?? null
    const isWhole = found !== undefined && (digest === null || digest === found.digest)
    if (isWhole || unreadable.has(version)) continue
    const damage = found === undefined ? 'missing' : 'altered'
    const detail = found === undefined ? 'it is not there' : 'the chain names another commit of this version'
    faults.push({ kind: 'commit', damage, name: commitName(version), version, detail, digest })
    commits.delete(version)
  }
  const { state, holes } = replay(checkpoints.get(base), commits, newest, faults)
  state.digest = digests.get(newest) ?? state.digest
  if (head === null && state.isChained && !faults.some(({ kind }) => kind === 'head')) {
    const detail = 'without it nobody can tell whether the last commits are here'
    faults.push({ kind: 'head', damage: 'missing', name: headName, version: null, detail, digest: null })
  }
  const named = faults.map((fault) => ({ ...fault, digest: fault.digest ?? digests.get(fault.version ?? -1) ?? null }))
  return { faults: named, foreign: listing.others, commits: commits.size, base, state, holes }
}

/** Below the newest checkpoint versions are trimmed from the bottom; what stands above one that is kept must be there. */
function firstExpected(base: number, commits: readonly number[]): number {
  if (base === 0) return 1
  const kept = base - keptVersionsDefault + 1
  return Math.min(base + 1, Math.max(kept, commits[0] ?? Infinity))
}

async function readOr<Value>(
  read: () => Promise<Value>,
  what: Pick<LogFault, 'kind' | 'name' | 'version'>,
  faults: LogFault[],
): Promise<Value | null> {
  try {
    return await read()
  } catch (error) {
    if (!isRiverbankError(error, 'lake_corrupt')) throw error
    faults.push({ ...what, damage: 'unreadable', detail: error.message, digest: null })
    return null
  }
}

/**
 * What the checksum of each version must be, from the newest down: the head and the checkpoints prove theirs, and a commit
 * that is proved proves the one before it.
 */
function expectedDigests(
  head: Head | null,
  checkpoints: ReadonlyMap<number, Checkpoint>,
  commits: ReadonlyMap<number, ReadCommit>,
  newest: number,
  first: number,
): ReadonlyMap<number, string> {
  const digests = new Map<number, string>()
  for (const { version, digest } of [...checkpoints.values(), ...(head === null ? [] : [head])]) {
    if (typeof digest === 'string') digests.set(version, digest)
  }
  for (let version = newest; version >= first; version -= 1) {
    const found = commits.get(version)
    const expected = digests.get(version)
    if (found === undefined || digests.has(version - 1)) continue
    const isNewest = version === newest
    // One that nothing proves may be the wrong one of two that do not fit; it speaks for a commit that is missing.
    const isProved = expected === found.digest || (expected === undefined && (isNewest || !commits.has(version - 1)))
    const { previous } = found.commit
    if (isProved && typeof previous === 'string') digests.set(version - 1, previous)
  }
  return digests
}

/** The state that the intact commits come to; what a commit takes for granted behind a gap is believed, and is a hole. */
function replay(
  checkpoint: Checkpoint | undefined,
  commits: ReadonlyMap<number, ReadCommit>,
  newest: number,
  faults: LogFault[],
): Pick<LogCheck, 'state' | 'holes'> {
  const state = checkpoint === undefined ? emptyState() : stateOf(checkpoint)
  const holes: LostRange[] = []
  let isGap = false
  for (let version = state.version + 1; version <= newest; version += 1) {
    const found = commits.get(version)
    if (found === undefined) {
      isGap = true
      continue
    }
    const why = isGap ? null : faultOf(state, found.commit)
    if (why !== null) {
      const name = commitName(version)
      faults.push({ kind: 'commit', damage: 'foreign', name, version, detail: why, digest: null })
      isGap = true
      continue
    }
    if (isGap) holes.push(...holesBefore(state, found.commit))
    applyCommit(state, found.commit, found.digest)
  }
  state.version = newest
  return { state, holes }
}

function holesBefore(state: LakeState, { covered, purged }: Commit): LostRange[] {
  const holes: LostRange[] = []
  for (const { topic, partition, from } of covered) {
    const known = state.covered.get(partitionKey(topic, partition)) ?? 0
    if (from === null || from <= known) continue
    holes.push({ table: null, topic, partition, firstOffset: known, lastOffset: from - 1, rows: null })
  }
  // A file that is gone from disk was merged into another one by the commit that is missing.
  for (const path of purged) {
    const file = state.files.get(path)
    if (file === undefined) continue
    holes.push(rangeOf(file))
    state.files.delete(path)
  }
  return holes
}

/** The positions of a file. */
export function rangeOf({ table, topic, partition, firstOffset, lastOffset, rows }: FileEntry): LostRange {
  return { table, topic, partition, firstOffset, lastOffset, rows }
}
