import { randomBytes, randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RiverbankError, unreachable } from '../../base/errors.ts'
import { checkLake, type LakeCheckReport } from '../check/lake-check.ts'
import { rangeOf, type LogCheck, type LogFault } from '../check/log-check.ts'
import { lostKey, type FileEntry, type LostRange } from '../commit/commit.ts'
import { copyDurably, makeFolder, syncFolder } from '../commit/durable.ts'
import { openLake } from '../commit/lake.ts'
import { discardFiles, discardRefused, stagingFolder } from '../files/table-files.ts'
import { isNear, openHoles, type HeldOffsets } from './holes.ts'
import { endsBelow, readRanges, type LogRanges, type RangeLog } from './log-range.ts'
import { beginAnew, renewHead, restoreCommit, retireHistory, retireLogFile } from './log-steps.ts'
import { planRepair } from './plan.ts'
import { keepInQuarantine } from './quarantine.ts'
import { rereadFile, rereadRange, type RereadOptions } from './reread.ts'
import { stepText, type LeftFault, type RepairPlan, type RepairStep } from './step.ts'

export interface RepairOptions extends Omit<RereadOptions, 'lake' | 'log'> {
  readonly dir: string
  readonly copyDir: string | null
  readonly declareLost: boolean
  /** Null: only a copy can help. */
  readonly log: RangeLog | null
  readonly topics: readonly string[]
  /** Offsets of a range that these files hold. */
  readonly heldOffsets: HeldOffsets
  readonly reconstruct?: (log: LogCheck, fault: LogFault) => Promise<string | null>
  /** Ends the repair between two steps. */
  readonly signal?: AbortSignal
  readonly onProgress?: (line: string) => void
}

export interface RepairResult {
  readonly done: readonly RepairStep[]
  readonly left: readonly LeftFault[]
  /** Of the lake as it is now. */
  readonly check: LakeCheckReport
}

/** One repair may uncover another fault: commits first, then the files that they name. */
const roundsMax = 10

/** Checks the lake and plans a repair. Changes nothing. */
export async function explainRepair(
  options: RepairOptions,
): Promise<{ readonly plan: RepairPlan; readonly check: LakeCheckReport }> {
  const { plan, report } = await planOf(options)
  return { plan, check: report }
}

/**
 * Repairs what can be repaired, step by step, until nothing more can. A damaged file is never deleted: it is in the
 * quarantine before its replacement is committed. Interrupted at any point, the lake is at least as readable as before,
 * and another run continues from there. Errors: those of the log and the lake.
 */
export async function repairLake(options: RepairOptions): Promise<RepairResult> {
  const done: RepairStep[] = []
  const left = new Map<string, LeftFault>()
  for (let round = 0; round < roundsMax; round += 1) {
    const { plan, ranges, report } = await planOf(options)
    left.clear()
    for (const fault of plan.left) left.set(fault.what, fault)
    let progress = 0
    for (const step of plan.steps) {
      if (options.signal?.aborted === true) break
      options.onProgress?.(`repair: ${stepText(step)}`)
      const fault = await apply(step, options, ranges)
      if (fault !== null) left.set(fault.what, fault)
      else {
        progress += 1
        done.push(step)
      }
    }
    if (progress === 0) return { done, left: [...left.values()], check: report }
    if (options.signal?.aborted === true) break
  }
  const { report } = await checkLake({ dir: options.dir })
  return { done, left: [...left.values()], check: report }
}

async function planOf(options: RepairOptions) {
  const { dir, copyDir, declareLost, topics, log } = options
  const check = await checkLake({ dir })
  // Read after the lake: a log that continues reaches beyond what the lake had of it.
  const found = log === null ? null : await readRanges(log, topics)
  const short = found === null ? null : endsBelow(found, check.log.state.covered)
  if (short !== null) options.onProgress?.(`repair: the log is not asked, it is another one: ${short}`)
  const ranges = short === null ? found : null
  const reconstruct = options.reconstruct ?? (() => Promise.resolve(null))
  const holes = await openHoles(dir, check, ranges, options.heldOffsets)
  const plan = await planRepair(
    { ...check, log: { ...check.log, holes } },
    { dir, copyDir, declareLost, ranges, reconstruct },
  )
  return { plan, ranges, report: check.report }
}

/** Null when the step is done; else what is left, and why. */
async function apply(step: RepairStep, options: RepairOptions, ranges: LogRanges | null): Promise<LeftFault | null> {
  const { dir } = options
  switch (step.kind) {
    case 'restore_commit':
      await restoreCommit(dir, step.version, step.text)
      return null
    case 'begin_anew':
      await beginAnew(dir, step, ranges)
      return null
    case 'retire_history':
      await retireHistory(dir, step.below)
      return null
    case 'retire_log_file':
      await retireLogFile(dir, step.name)
      return null
    case 'write_head':
      await renewHead(dir)
      return null
    case 'restore_file':
      await restoreFile(dir, step.file, step.from)
      return null
    case 'read_file_again':
      return readFileAgain(step.file, options)
    case 'read_range_again':
      return readRangeAgain(step.range, options)
    case 'declare_file_lost':
      await declareFileLost(dir, step.file)
      return null
    case 'declare_range_lost':
      await declareRangeLost(dir, step)
      return null
    default:
      return unreachable(step)
  }
}

/** Checksums the copy while writing it: the bytes put in place are those that have the checksum. */
async function restoreFile(dir: string, file: FileEntry, from: string): Promise<void> {
  // Its name begins with its partition, so that the partition's next owner removes what an interruption leaves.
  const staged = join(dir, stagingFolder, `${basename(file.path)}.${randomBytes(6).toString('hex')}`)
  await makeFolder(dirname(staged))
  await makeFolder(dirname(join(dir, file.path)))
  const copied = await copyDurably(from, staged)
  if (copied.sha256 !== file.sha256 || copied.bytes !== file.bytes) {
    await rm(staged, { force: true })
    throw new RiverbankError('lake_corrupt', `${from} changed while it was copied`)
  }
  await keepInQuarantine(dir, file.path)
  await rename(staged, join(dir, file.path))
  await syncFolder(dirname(join(dir, file.path)))
}

async function readFileAgain(file: FileEntry, options: RepairOptions): Promise<LeftFault | null> {
  const { dir, log, declareLost } = options
  if (log === null) return { what: file.path, why: 'the log was not asked' }
  const lake = await openLake({ dir, clock: options.clock })
  const read = await rereadFile({ ...options, lake, log }, file)
  if (read.kind === 'differs') {
    if (!declareLost) return { what: file.path, why: `${read.why}: --declare-lost takes it out of the lake` }
    await declareFileLost(dir, file)
    return null
  }
  await keepInQuarantine(dir, file.path)
  const { added, schemas } = read
  const result = await lake.log.commit({ added, schemas, removed: [file.path] })
  if (result.kind !== 'committed') await discardRefused(lake, added)
  return null
}

async function readRangeAgain(range: LostRange, options: RepairOptions): Promise<LeftFault | null> {
  const { dir, log } = options
  const what = `${range.topic}/${range.partition} ${range.firstOffset}`
  if (log === null) return { what, why: 'the log was not asked' }
  const lake = await openLake({ dir, clock: options.clock })
  const { files, lost } = await lake.snapshot()
  if (!lost.some((one) => lostKey(one) === lostKey(range))) return null
  const near = files.filter((file) => isNear(file, range))
  const held =
    near.length === 0
      ? new Set<number>()
      : await options.heldOffsets(
          near.map((file) => lake.pathOf(file)),
          range,
        )
  const read = await rereadRange({ ...options, lake, log }, range, { table: range.table, held })
  const rows = read.added.reduce((sum, file) => sum + file.rows, held.size)
  if (range.rows !== null && rows !== range.rows) {
    await discardFiles(dir, read.added)
    return { what, why: `the log has ${rows} rows there, the lake had ${range.rows}` }
  }
  const result = await lake.log.commit({ ...read, found: [range] })
  if (result.kind !== 'committed') await discardRefused(lake, read.added)
  return null
}

async function declareFileLost(dir: string, file: FileEntry): Promise<void> {
  const lake = await openLake({ dir })
  await keepInQuarantine(dir, file.path)
  await lake.log.commit({ removed: [file.path], lost: [rangeOf(file)] })
}

/** The lake continues where the log begins; the partition's writer is fenced, and takes it again. */
async function declareRangeLost(
  dir: string,
  { topic, partition, from, next }: Extract<RepairStep, { readonly kind: 'declare_range_lost' }>,
): Promise<void> {
  const lake = await openLake({ dir })
  const owner = `repair-${randomUUID()}`
  await lake.log.commit({ owners: [{ topic, partition, owner }] })
  const range = { table: null, topic, partition, firstOffset: from, lastOffset: next - 1, rows: null }
  await lake.log.commit({ owner, covered: [{ topic, partition, from, next }], lost: [range] })
}
