import { RiverbankError } from '../../base/errors.ts'
import { minuteMs } from '../../base/units.ts'
import type { Clock } from '../../ports/clock.ts'
import { applyCommit, checkpointOf, digestOf, emptyState, faultOf, refusalOf, stateOf } from './commit.ts'
import type { Commit, Head, LakeState, Proposal, Refusal } from './commit.ts'
import { createFile, makeFolder } from './durable.ts'
import { commitName, corrupt, headName, listLog, readCheckpoint, readCommit, readHead } from './log-files.ts'
import { trimAgeMs, trimFolder, writeCheckpoint, writeHead, type ReadCommit } from './log-files.ts'

export type CommitResult = { readonly kind: 'committed'; readonly version: number } | Refusal

/**
 * The lake's truth: numbered files; the first writer that creates a name makes that version. Any number of processes
 * may commit; a reader sees a prefix of the same history, never a part of a commit. Each commit names the checksum of
 * the one before it, and the head names the newest: a commit that is missing, altered or another lake's is an error,
 * never the end. Errors: `lake_corrupt`, `lake_contended` (canRetry), `lake_stale`.
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
  /** Versions kept below the newest checkpoint, for readers that still walk up to it. */
  readonly keptVersions?: number
}

export const keptVersionsDefault = 1_000
const maxAttempts = 1_000
/** A state older than this is read anew from a checkpoint: what follows it may have been trimmed. */
const staleMs = trimAgeMs / 2
/** A commit that took longer (a stopped process) may have taken the name of a trimmed version. */
const maxCommitMs = 5 * minuteMs

export async function openCommitLog(options: CommitLogOptions): Promise<CommitLog> {
  const { folder, clock } = options
  const checkpointEvery = options.checkpointEvery ?? 100
  const keptVersions = options.keptVersions ?? keptVersionsDefault
  await makeFolder(folder)
  const reader = new LogReader(folder)
  let tail: Promise<unknown> = Promise.resolve()

  /** One call after the other: the state is shared. */
  function serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = tail.then(work)
    tail = result.catch(() => undefined)
    return result
  }

  async function attempt(proposal: Proposal): Promise<CommitResult | null> {
    const startedMs = performance.now()
    const state = await reader.refresh()
    const refusal = refusalOf(state, proposal)
    if (refusal !== null) return refusal
    // Before the first chained commit: from then on a lake without a head has lost it.
    if (reader.head === null) await writeHead(folder, state)
    const commit = commitOf(state, proposal, clock.nowMs())
    const text = JSON.stringify(commit)
    if (!(await createFile(folder, commitName(commit.version), text))) return null
    if (performance.now() - startedMs > maxCommitMs) {
      throw new RiverbankError('lake_stale', `the commit of version ${commit.version} took too long to be trusted`)
    }
    reader.advance({ commit, digest: digestOf(text) })
    await reader.raiseHead()
    if (state.version - reader.checkpointed >= checkpointEvery) {
      await writeCheckpoint(folder, checkpointOf(state))
      reader.checkpointed = state.version
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
    refresh: () => serially(() => reader.refresh()),
    commit: (proposal) => serially(() => commit(proposal)),
    trim: () => serially(() => trimFolder(folder, keptVersions, clock.nowMs())),
  }
}

/** Follows the files of one log. */
class LogReader {
  /** As of the last refresh; null in a lake that no commit is chained in. */
  head: Head | null = null
  checkpointed = 0
  private readonly folder: string
  private state = emptyState()
  private refreshedAtMs = -Infinity
  /** The highest version that this reader knows of: from the folder, the head, or because it read it. */
  private known = 0

  constructor(folder: string) {
    this.folder = folder
  }

  async refresh(): Promise<LakeState> {
    const nowMs = performance.now()
    if (nowMs - this.refreshedAtMs > staleMs) await this.reload()
    await this.follow()
    // A writer raises the head after its commit, so the version that it names can be read now.
    const head = await readHead(this.folder)
    if (head !== null && head.version > this.state.version) {
      this.known = Math.max(this.known, head.version)
      await this.follow()
    }
    if (this.state.version < this.known) {
      // A process that slept may look for trimmed versions: only a cold start decides.
      await this.reload()
      await this.follow()
    }
    this.judge(head)
    this.head = head
    this.refreshedAtMs = nowMs
    return this.state
  }

  /** Errors: `lake_corrupt` when the commit is not the next one. */
  advance({ commit, digest }: ReadCommit): void {
    const fault = faultOf(this.state, commit)
    if (fault !== null) throw corrupt(this.folder, commitName(this.state.version + 1), fault)
    applyCommit(this.state, commit, digest)
    this.known = Math.max(this.known, commit.version)
  }

  /** The last one to write the head of several at once sees every commit, so the head ends at the newest. */
  async raiseHead(): Promise<void> {
    for (;;) {
      await writeHead(this.folder, this.state)
      const next = await readCommit(this.folder, this.state.version + 1)
      if (next === null) return
      this.advance(next)
    }
  }

  private async follow(): Promise<void> {
    for (;;) {
      const next = await readCommit(this.folder, this.state.version + 1)
      if (next === null) return
      this.advance(next)
    }
  }

  private async reload(): Promise<void> {
    const { commits, checkpoints } = await listLog(this.folder)
    const newest = checkpoints.at(-1)
    const checkpoint = newest === undefined ? null : await readCheckpoint(this.folder, newest)
    this.checkpointed = checkpoint?.version ?? 0
    this.state = checkpoint === null ? emptyState() : stateOf(checkpoint)
    if (checkpoint?.format === 1) {
      this.state.digest = (await readCommit(this.folder, checkpoint.version))?.digest ?? null
    }
    this.known = Math.max(this.known, commits.at(-1) ?? 0)
  }

  private judge(head: Head | null): void {
    const { version, digest, isChained } = this.state
    if (version < this.known) {
      throw corrupt(this.folder, commitName(version + 1), `is missing, and version ${this.known} was committed`)
    }
    if (head === null && isChained) {
      throw corrupt(this.folder, headName, 'is missing: nothing else tells whether the last commits are all here')
    }
    if (head?.version === version && digest !== null && head.digest !== null && head.digest !== digest) {
      throw corrupt(this.folder, commitName(version), 'is not the commit that was written as this version')
    }
  }
}

function commitOf(state: LakeState, proposal: Proposal, nowMs: number): Commit {
  return {
    format: 2,
    version: state.version + 1,
    previous: state.digest,
    committedAtMs: nowMs,
    owners: [...(proposal.owners ?? [])],
    schemas: (proposal.schemas ?? []).filter(({ table, id }) => !state.schemas.has(`${table}/${id}`)),
    added: [...(proposal.added ?? [])],
    removed: [...(proposal.removed ?? [])],
    purged: [...(proposal.purged ?? [])],
    covered: [...(proposal.covered ?? [])],
    ...(proposal.lost === undefined ? {} : { lost: [...proposal.lost] }),
    ...(proposal.found === undefined ? {} : { found: [...proposal.found] }),
  }
}
