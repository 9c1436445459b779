import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { RiverbankError } from '../core/errors.ts'
import { hourMs, minuteMs } from '../core/units.ts'
import type { Clock } from '../ports.ts'
import { applyCommit, checkpointOf, checkpointSchema, commitSchema, emptyState, refusalOf, stateOf } from './commit.ts'
import type { Commit, LakeState, Proposal, Refusal } from './commit.ts'
import { createFile, isErrno, makeFolder, replaceFile } from './durable.ts'

export type CommitResult = { readonly kind: 'committed'; readonly version: number } | Refusal

/**
 * The lake's truth: numbered files, each made by whoever creates its name first. Any number of processes may commit;
 * a reader sees a prefix of the same history, never a part of a commit.
 * Errors: `lake_corrupt`, `lake_contended` (canRetry), `lake_stale`.
 */
export interface CommitLog {
  /** The newest state. Belongs to the log: read it before the next call, and do not change it. */
  refresh(): Promise<LakeState>
  /** Makes the proposal true, or answers why it cannot be. */
  commit(proposal: Proposal): Promise<CommitResult>
  /** Deletes versions that no reader needs any more; answers how many. */
  trim(): Promise<number>
}

export interface CommitLogOptions {
  readonly folder: string
  readonly clock: Clock
  /** A checkpoint is written every so many versions: a reader reads one, and at most about twice as many commits. */
  readonly checkpointEvery?: number
  /** Versions kept below the newest checkpoint, for whoever still walks up to it. */
  readonly keptVersions?: number
}

const maxAttempts = 1_000
/** Versions younger than this are never trimmed. */
const trimAgeMs = hourMs
/** A state older than this is read anew from a checkpoint: what follows it may have been trimmed. */
const staleMs = trimAgeMs / 2
/** A commit that took longer (a stopped process) may have taken the name of a trimmed version. */
const maxCommitMs = 5 * minuteMs

export async function openCommitLog(options: CommitLogOptions): Promise<CommitLog> {
  const { folder, clock } = options
  const checkpointEvery = options.checkpointEvery ?? 100
  const keptVersions = options.keptVersions ?? 1_000
  await makeFolder(folder)
  let state = emptyState()
  let refreshedAtMs = -Infinity
  let checkpointed = 0
  let tail: Promise<unknown> = Promise.resolve()

  /** One call after the other: the state is shared. */
  function serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = tail.then(work)
    tail = result.catch(() => undefined)
    return result
  }

  async function reload(): Promise<void> {
    const newest = await newestCheckpoint(folder)
    checkpointed = newest ?? 0
    state = newest === null ? emptyState() : stateOf(await readJson(folder, checkpointName(newest), checkpointSchema))
  }

  async function refresh(): Promise<LakeState> {
    const nowMs = performance.now()
    if (nowMs - refreshedAtMs > staleMs) await reload()
    for (;;) {
      const commit = await readCommit(folder, state.version + 1)
      if (commit === null) break
      applyCommit(state, commit)
    }
    refreshedAtMs = nowMs
    return state
  }

  async function attempt(proposal: Proposal): Promise<CommitResult | null> {
    const startedMs = performance.now()
    await refresh()
    const refusal = refusalOf(state, proposal)
    if (refusal !== null) return refusal
    const commit = commitOf(state, proposal, clock.nowMs())
    if (!(await createFile(folder, commitName(commit.version), JSON.stringify(commit)))) return null
    if (performance.now() - startedMs > maxCommitMs) {
      throw new RiverbankError('lake_stale', `the commit of version ${commit.version} took too long to be trusted`)
    }
    applyCommit(state, commit)
    if (state.version - checkpointed >= checkpointEvery) {
      await replaceFile(folder, checkpointName(state.version), JSON.stringify(checkpointOf(state)))
      checkpointed = state.version
    }
    return { kind: 'committed', version: commit.version }
  }

  async function commit(proposal: Proposal): Promise<CommitResult> {
    for (let tries = 0; tries < maxAttempts; tries += 1) {
      const result = await attempt(proposal)
      if (result !== null) return result
    }
    throw new RiverbankError('lake_contended', `lost the race for a version ${maxAttempts} times`, { canRetry: true })
  }

  return {
    refresh: () => serially(refresh),
    commit: (proposal) => serially(() => commit(proposal)),
    trim: () => serially(() => trimFolder(folder, keptVersions, clock.nowMs())),
  }
}

function commitOf(state: LakeState, proposal: Proposal, nowMs: number): Commit {
  return {
    format: 1,
    version: state.version + 1,
    committedAtMs: nowMs,
    owners: [...(proposal.owners ?? [])],
    schemas: (proposal.schemas ?? []).filter(({ table, id }) => !state.schemas.has(`${table}/${id}`)),
    added: [...(proposal.added ?? [])],
    removed: [...(proposal.removed ?? [])],
    purged: [...(proposal.purged ?? [])],
    covered: [...(proposal.covered ?? [])],
  }
}

function commitName(version: number): string {
  return `${String(version).padStart(20, '0')}.json`
}

function checkpointName(version: number): string {
  return `${String(version).padStart(20, '0')}.checkpoint.json`
}

async function newestCheckpoint(folder: string): Promise<number | null> {
  const versions = (await readdir(folder)).flatMap((name) => {
    const match = /^(\d{20})\.checkpoint\.json$/.exec(name)
    return match === null ? [] : [Number(match[1])]
  })
  return versions.length === 0 ? null : Math.max(...versions)
}

async function readCommit(folder: string, version: number): Promise<Commit | null> {
  try {
    const commit = await readJson(folder, commitName(version), commitSchema)
    if (commit.version !== version) {
      throw new RiverbankError('lake_corrupt', `${commitName(version)} says it is version ${commit.version}`)
    }
    return commit
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

async function readJson<Schema extends z.ZodType>(
  folder: string,
  name: string,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const text = await readFile(join(folder, name), 'utf8')
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new RiverbankError('lake_corrupt', `${join(folder, name)} is not what a writer of this lake writes`, {
      cause,
    })
  }
}

async function trimFolder(folder: string, keptVersions: number, nowMs: number): Promise<number> {
  const newest = await newestCheckpoint(folder)
  if (newest === null) return 0
  let deleted = 0
  for (const name of await readdir(folder)) {
    const version = /^(\d{20})\.(checkpoint\.)?json$/.exec(name)?.[1]
    const isLeftover = /^\..*\.tmp$/.test(name)
    if (!isLeftover && (version === undefined || Number(version) > newest - keptVersions)) continue
    const path = join(folder, name)
    const age = await ageMs(path, nowMs)
    if (age === null || age < trimAgeMs) continue
    await rm(path, { force: true })
    deleted += 1
  }
  return deleted
}

/** Null when it is gone. */
export async function ageMs(path: string, nowMs: number): Promise<number | null> {
  try {
    return nowMs - (await stat(path)).mtimeMs
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}
