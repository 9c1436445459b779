import { join } from 'node:path'
import type { LakeCheck } from '../check/lake-check.ts'
import { partitionKey, type FileEntry, type LostRange } from '../commit/commit.ts'
import type { LogRanges } from './log-range.ts'

export type HeldOffsets = (paths: readonly string[], range: LostRange) => Promise<ReadonlySet<number>>

/** What the holes still lack: a later commit may have merged the rows of a missing one into files that are here. */
export async function openHoles(
  dir: string,
  check: LakeCheck,
  ranges: LogRanges | null,
  heldOffsets: HeldOffsets,
): Promise<readonly LostRange[]> {
  const open: LostRange[] = []
  for (const whole of check.log.holes) {
    const hole = { ...whole, firstOffset: lowestOf(whole, check, ranges) }
    const near = [...check.log.state.files.values()].filter(
      (file) => !check.damagedFiles.has(file.path) && isNear(file, hole),
    )
    const paths = near.map(({ path }) => join(dir, path))
    const rest = paths.length === 0 ? hole : without(hole, await heldOffsets(paths, hole))
    if (rest !== null) open.push(rest)
  }
  return open
}

/** Where no commit below the hole is known, nothing shows that the lake had the partition from 0 on. */
function lowestOf(hole: LostRange, { log, report }: LakeCheck, ranges: LogRanges | null): number {
  const start = ranges?.get(partitionKey(hole.topic, hole.partition))?.start
  if (hole.firstOffset > 0 || hole.table !== null || start === undefined) return hole.firstOffset
  const own = [...log.state.files.values(), ...report.unnamed].filter(
    ({ topic, partition }) => topic === hole.topic && partition === hole.partition,
  )
  const lowest = Math.min(...own.map(({ firstOffset }) => firstOffset ?? Infinity))
  return lowest > hole.lastOffset ? hole.firstOffset : Math.min(lowest, start)
}

/**
 * The hole without the held offsets at its ends; null when nothing is left. A hole of one table is full or stays whole.
 */
function without(hole: LostRange, held: ReadonlySet<number>): LostRange | null {
  if (hole.rows !== null) return held.size === hole.rows ? null : hole
  let { firstOffset, lastOffset } = hole
  while (firstOffset <= lastOffset && held.has(firstOffset)) firstOffset += 1
  while (lastOffset > firstOffset && held.has(lastOffset)) lastOffset -= 1
  return firstOffset > lastOffset ? null : { ...hole, firstOffset, lastOffset }
}

/** Whether a file may hold positions of a range. */
export function isNear(file: FileEntry, range: LostRange): boolean {
  return (
    (range.table === null || file.table === range.table) &&
    file.topic === range.topic &&
    file.partition === range.partition &&
    file.firstOffset <= range.lastOffset &&
    file.lastOffset >= range.firstOffset
  )
}
