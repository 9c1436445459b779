import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, partitionKey, splitKey, type FileEntry, type LostRange } from '../commit/commit.ts'
import { isUnreadable } from '../commit/damage.ts'
import { digestFile, isErrno } from '../commit/durable.ts'
import { commitName, logFolder } from '../commit/log-files.ts'
import type { LakeCheck, LakeCheckReport } from '../check/lake-check.ts'
import { rangeOf, type LogCheck, type LogFault } from '../check/log-check.ts'
import { faultText, rangeText } from '../check/text.ts'
import type { LogRanges } from './log-range.ts'
import type { LeftFault, RepairPlan, RepairStep } from './step.ts'

export interface PlanInput {
  readonly dir: string
  /** Another copy of the lake, null without one. */
  readonly copyDir: string | null
  /** Null when the log was not asked. */
  readonly ranges: LogRanges | null
  /** Whether to declare lost what neither copy nor log has. */
  readonly declareLost: boolean
  /** Makes a missing commit from what is on disk, null where it cannot be proved. */
  readonly reconstruct: (log: LogCheck, fault: LogFault) => Promise<string | null>
}

/** Plans each damage's repair: from a copy, else from the log, else by declaring it lost. Changes nothing. */
export async function planRepair(check: LakeCheck, input: PlanInput): Promise<RepairPlan> {
  const log = await planLog(check, input)
  // Restored commits may name other files.
  if (log.steps.some(({ kind }) => kind === 'restore_commit') || log.left.length > 0) return log
  const begins = log.steps.some(({ kind }) => kind === 'begin_anew')
  const files = await planFiles(check, input)
  const ranges = planRanges(check.log, begins, input)
  return {
    steps: [...log.steps, ...files.steps, ...ranges.steps],
    left: [...files.left, ...ranges.left],
  }
}

async function planLog({ log, report }: LakeCheck, input: PlanInput): Promise<RepairPlan> {
  const { faults, base, state } = log
  const commits = faults.filter(({ kind }) => kind === 'commit')
  const steps: RepairStep[] = []
  for (const fault of commits) {
    const { version } = fault
    if (version === null) continue
    const copied = await commitFromCopy(input, fault)
    const text = copied ?? (await input.reconstruct(log, fault))
    const source = copied === null ? 'files' : 'copy'
    if (text !== null) steps.push({ kind: 'restore_commit', version, text, source })
  }
  if (steps.length > 0) return { steps, left: [] }
  for (const { kind, name } of faults) if (kind === 'checkpoint') steps.push({ kind: 'retire_log_file', name })
  const above = commits.filter(({ version }) => (version ?? 0) > base)
  if (above.length > 0) {
    const { ranges } = input
    const unread = [...log.holes.filter((range) => !isHeld(range, ranges)), ...unreadTails(log, report, ranges)]
    if ((unread.length > 0 || ranges === null) && !input.declareLost) {
      return { steps: [], left: [...above, ...unread].map((what) => leftLog(what, ranges)) }
    }
    const why = above.map(({ version, damage }) => `commit ${version} is ${damage}`).join(', ')
    return { steps: [...steps, { kind: 'begin_anew', version: state.version, why, holes: log.holes }], left: [] }
  }
  if (commits.length > 0) steps.push({ kind: 'retire_history', below: base })
  if (faults.some(({ kind }) => kind === 'head')) steps.push({ kind: 'write_head', version: state.version })
  return { steps, left: [] }
}

/** What a missing commit may have covered above all that is known, and the log no longer holds. */
function unreadTails({ state }: LogCheck, { unnamed }: LakeCheckReport, ranges: LogRanges | null): LostRange[] {
  return [...(ranges ?? [])].flatMap(([key, { start }]) => {
    const { topic, partition } = splitKey(key)
    const own = unnamed.filter((file) => file.topic === topic && file.partition === partition)
    const lowest = Math.min(...own.map(({ firstOffset }) => firstOffset ?? Infinity))
    const firstOffset = state.covered.get(key) ?? lowest
    return firstOffset < start
      ? [{ table: null, topic, partition, firstOffset, lastOffset: start - 1, rows: null }]
      : []
  })
}

function leftLog(what: LogFault | LostRange, ranges: LogRanges | null): LeftFault {
  const log = ranges === null ? 'the log was not asked' : 'the log does not hold those positions any more'
  const why = `no copy has it, and ${log}: --from, or --declare-lost`
  return { what: 'name' in what ? faultText(what) : rangeText(what), why }
}

/** The copy's commit, where the chain names it, or where the copy has the same commits before and after it. */
async function commitFromCopy({ dir, copyDir }: PlanInput, fault: LogFault): Promise<string | null> {
  if (copyDir === null || fault.version === null) return null
  const text = await readText(join(copyDir, logFolder, fault.name))
  if (text === null) return null
  if (fault.digest !== null) return digestOf(text) === fault.digest ? text : null
  const neighbours = [fault.version - 1, fault.version + 1].map(async (version) => {
    const own = await readText(join(dir, logFolder, commitName(version)))
    if (own === null) return null
    return own === (await readText(join(copyDir, logFolder, commitName(version))))
  })
  const same = await Promise.all(neighbours)
  return same.includes(true) && !same.includes(false) ? text : null
}

async function planFiles({ damagedFiles }: LakeCheck, input: PlanInput): Promise<RepairPlan> {
  const { copyDir, ranges, declareLost } = input
  const steps: RepairStep[] = []
  const left: LeftFault[] = []
  for (const file of damagedFiles.values()) {
    const from = copyDir === null ? null : await wholeCopy(join(copyDir, file.path), file)
    if (from !== null) steps.push({ kind: 'restore_file', file, from })
    else if (isHeld(rangeOf(file), ranges)) steps.push({ kind: 'read_file_again', file })
    else if (declareLost) steps.push({ kind: 'declare_file_lost', file })
    else left.push({ what: `${file.path} (${rangeText(rangeOf(file))})`, why: whyNot(file, input) })
  }
  return { steps, left }
}

function whyNot({ topic, partition }: FileEntry, { copyDir, ranges }: PlanInput): string {
  const copy = copyDir === null ? 'no copy was given (--from)' : `${copyDir} has no whole copy`
  const range = ranges?.get(partitionKey(topic, partition))
  const log = ranges === null ? 'the log was not asked' : `the log begins at ${range?.start ?? 'nothing'}`
  return `${copy}, and ${log}: --declare-lost takes it out of the lake and records that`
}

/** Plans ranges that no file holds: a reread where the log has them. */
function planRanges({ state, holes }: LogCheck, begins: boolean, input: PlanInput): RepairPlan {
  const { ranges, declareLost } = input
  const lost = [...state.lost.values(), ...(begins ? holes.flatMap((hole) => splitHole(hole, ranges)) : [])]
  const steps: RepairStep[] = lost
    .filter((range) => isHeld(range, ranges))
    .map((range) => ({ kind: 'read_range_again', range }))
  const left: LeftFault[] = []
  for (const [key, { start }] of ranges ?? []) {
    const covered = state.covered.get(key)
    if (covered === undefined || covered >= start) continue
    const [topic, partition] = [key.slice(0, key.lastIndexOf('/')), Number(key.slice(key.lastIndexOf('/') + 1))]
    if (declareLost) steps.push({ kind: 'declare_range_lost', topic, partition, from: covered, next: start })
    else {
      const what = `${topic} partition ${partition} offsets ${covered} to ${start - 1}`
      left.push({ what, why: 'the log dropped them before the lake had them: --declare-lost goes on above them' })
    }
  }
  return { steps, left }
}

/** Splits a hole into the part that the log no longer holds and the part that it does. */
export function splitHole(hole: LostRange, ranges: LogRanges | null): readonly LostRange[] {
  const start = ranges?.get(partitionKey(hole.topic, hole.partition))?.start ?? Infinity
  if (hole.table !== null || start <= hole.firstOffset || start > hole.lastOffset) return [hole]
  return [
    { ...hole, lastOffset: start - 1 },
    { ...hole, firstOffset: start },
  ]
}

export function isHeld({ topic, partition, firstOffset, lastOffset }: LostRange, ranges: LogRanges | null): boolean {
  const range = ranges?.get(partitionKey(topic, partition))
  return range !== undefined && range.start <= firstOffset && range.end > lastOffset
}

async function wholeCopy(path: string, { bytes, sha256 }: FileEntry): Promise<string | null> {
  try {
    const found = await digestFile(path)
    return found.bytes === bytes && found.sha256 === sha256 ? path : null
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isUnreadable(error)) return null
    throw error
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}
