import { dirname } from 'node:path'
import { isRiverbankError } from '../../base/errors.ts'
import { applyCommit, emptyState, faultOf, partitionKey, stateOf } from '../commit/commit.ts'
import type { Checkpoint, Commit, FileEntry, LakeState, LostRange } from '../commit/commit.ts'
import { keptVersionsDefault } from '../commit/commit-log.ts'
import {
  checkpointName,
  commitName,
  headName,
  listLog,
  readCheckpoint,
  readCommit,
  readHead,
} from '../commit/log-files.ts'
import type { ReadCommit } from '../commit/log-files.ts'

/** One file of the log that is not what was written. */
export interface LogFault {
  readonly kind: 'commit' | 'checkpoint' | 'head'
  /** `altered`: another commit than the chain names; `foreign`: it does not follow the one before it. */
  readonly damage: 'missing' | 'unreadable' | 'altered' | 'foreign'
  readonly name: string
  /** Null for the head. */
  readonly version: number | null
  readonly detail: string
  /** What the file's checksum must be, null where nothing proves it. */
  readonly digest: string | null
}

export interface LogCheck {
  readonly faults: readonly LogFault[]
  /** Names of files that no writer of this lake leaves in its log. */
  readonly foreign: readonly string[]
  readonly commits: number
  /** The newest checkpoint that can be read; 0 where there is none. Readers need nothing below it. */
  readonly base: number
  /** The state after the intact commits, at the newest known version. */
  readonly state: LakeState
  /** Positions that a later commit assumes covered and that only a missing commit can have named. */
  readonly holes: readonly LostRange[]
}

/** Reads every commit, checkpoint and the head of a log; changes nothing. */
export async function checkLog(folder: string): Promise<LogCheck> {
  const faults: LogFault[] = []
  // Read before the listing, so that the list has the commit that the head names.
  const head = await readOr(() => readHead(folder), { kind: 'head', name: headName, version: null }, faults)
  const listing = await listLog(folder)
  const { checkpoint, digests: known } = await readCheckpoints(folder, listing.checkpoints, faults)
  const base = checkpoint?.version ?? 0
  const newest = Math.max(base, listing.commits.at(-1) ?? 0, head?.version ?? 0)
  const first = firstExpected(base, listing.commits)
  const commits = new Map<number, ReadCommit>()
  const inList = listing.commits.filter((version) => version >= first)
  // A list made while others write may lack one in the middle.
  const unlisted = [...missingRuns(inList, first, newest)].flatMap(({ version, count }) => (count === 1 ? version : []))
  for (const version of [...inList, ...unlisted].sort((a, b) => a - b)) {
    const what = { kind: 'commit', name: commitName(version), version } as const
    const commit = await readOr(() => readCommit(folder, version), what, faults)
    if (commit !== null) commits.set(version, commit)
  }
  const unreadable = new Set(faults.flatMap(({ kind, version }) => (kind === 'commit' ? (version ?? []) : [])))
  if (typeof head?.digest === 'string') known.set(head.version, head.digest)
  const digests = expectedDigests(known, commits, newest)
  const listed = [...new Set([...commits.keys(), ...unreadable])].sort((a, b) => a - b)
  for (const { version, count } of missingRuns(listed, first, newest)) {
    const detail = count === 1 ? 'it is not there' : `it is not there, nor are the ${count - 1} above it`
    const digest = digests.get(version) ?? null
    faults.push({ kind: 'commit', damage: 'missing', name: commitName(version), version, detail, digest })
  }
  for (const [version, found] of commits) {
    const digest = digests.get(version) ?? null
    if (digest === null || digest === found.digest) continue
    const detail = 'the chain names another commit of this version'
    faults.push({ kind: 'commit', damage: 'altered', name: commitName(version), version, detail, digest })
    commits.delete(version)
  }
  const { state, holes } = replay(checkpoint, commits, newest, faults)
  state.digest = digests.get(newest) ?? state.digest
  if (head === null && state.isChained && !faults.some(({ kind }) => kind === 'head')) {
    const detail = 'without it nobody can tell whether the last commits are here'
    faults.push({ kind: 'head', damage: 'missing', name: headName, version: null, detail, digest: null })
  }
  const named = faults.map((fault) => ({ ...fault, digest: fault.digest ?? digests.get(fault.version ?? -1) ?? null }))
  return { faults: named, foreign: listing.others, commits: commits.size, base, state, holes }
}

/** The newest checkpoint that is whole, and what each names as the checksum of its version. */
async function readCheckpoints(folder: string, versions: readonly number[], faults: LogFault[]) {
  let checkpoint: Checkpoint | undefined
  const digests = new Map<number, string>()
  for (const version of versions) {
    const what = { kind: 'checkpoint', name: checkpointName(version), version } as const
    const found = await readOr(() => readCheckpoint(folder, version), what, faults)
    if (found === null) continue
    checkpoint = found
    if (typeof found.digest === 'string') digests.set(version, found.digest)
  }
  return { checkpoint, digests }
}

/** Missing versions listed one by one, because a copy may restore each; more than that are one run. */
const reportedMax = 10_000

/** The versions missing between these two, both included. `listed`: those that exist, ascending. */
function* missingRuns(listed: readonly number[], first: number, newest: number) {
  let next = first
  for (const version of [...listed, newest + 1]) {
    const count = version - next
    if (count > reportedMax) yield { version: next, count }
    else for (let missing = next; missing < version; missing += 1) yield { version: missing, count: 1 }
    next = version + 1
  }
}

/** Below the newest checkpoint versions are trimmed from the bottom; all above a kept one must be there. */
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
 * What the checksum of each version must be, from the newest down: the head and the checkpoints prove theirs, and a
 * proved commit proves the one before it.
 */
function expectedDigests(
  known: ReadonlyMap<number, string>,
  commits: ReadonlyMap<number, ReadCommit>,
  newest: number,
): ReadonlyMap<number, string> {
  const digests = new Map(known)
  for (const version of [...commits.keys()].sort((a, b) => b - a)) {
    const found = commits.get(version)
    const expected = digests.get(version)
    if (found === undefined || digests.has(version - 1)) continue
    const isNewest = version === newest
    // An unproved commit may be the wrong one of two that do not fit; it may prove only a missing commit's checksum.
    const isProved = expected === found.digest || (expected === undefined && (isNewest || !commits.has(version - 1)))
    const { previous } = found.commit
    if (isProved && typeof previous === 'string') digests.set(version - 1, previous)
  }
  return digests
}

/**
 * Replays the intact commits; after a missing version it believes what a commit assumes, and records that as a hole.
 */
function replay(
  checkpoint: Checkpoint | undefined,
  commits: ReadonlyMap<number, ReadCommit>,
  newest: number,
  faults: LogFault[],
): Pick<LogCheck, 'state' | 'holes'> {
  const state = checkpoint === undefined ? emptyState() : stateOf(checkpoint)
  const holes: LostRange[] = []
  let isGap = false
  let before = state.version
  for (const [version, found] of commits) {
    if (version <= state.version) continue
    if (version !== before + 1) isGap = true
    before = version
    const why = isGap ? null : faultOf(state, found.commit)
    if (why !== null) {
      const name = commitName(version)
      faults.push({ kind: 'commit', damage: 'foreign', name, version, detail: why, digest: null })
      isGap = true
      continue
    }
    if (isGap) {
      holes.push(...holesBefore(state, found.commit))
      retireMerged(state, found.commit)
    }
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
  // The missing commit merged a purged file into another one.
  for (const path of purged) {
    const file = state.files.get(path)
    if (file === undefined) continue
    holes.push(rangeOf(file))
    state.files.delete(path)
  }
  return holes
}

/**
 * Retires what a merge of unknown files holds: a missing commit made those of files that are still here. Beside the
 * later merge their rows would count twice.
 */
function retireMerged(state: LakeState, { added, removed, committedAtMs }: Commit): void {
  if (removed.every((path) => state.files.has(path))) return
  for (const file of [...state.files.values()]) {
    if (!added.some((merged) => isWithin(file, merged))) continue
    state.files.delete(file.path)
    state.retired.set(file.path, committedAtMs)
  }
}

/** Merged files are neighbours of one day of a table. */
function isWithin(file: FileEntry, merged: FileEntry): boolean {
  const isSamePlace = dirname(file.path) === dirname(merged.path) && file.topic === merged.topic
  const isSamePartition = isSamePlace && file.partition === merged.partition
  return isSamePartition && file.firstOffset >= merged.firstOffset && file.lastOffset <= merged.lastOffset
}

export function rangeOf({ table, topic, partition, firstOffset, lastOffset, rows }: FileEntry): LostRange {
  return { table, topic, partition, firstOffset, lastOffset, rows }
}
