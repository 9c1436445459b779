import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fail, ok, type Finding } from './doctor.ts'
import { checkLake, type LakeCheckReport } from '../../lake/check/lake-check.ts'
import { faultText } from '../../lake/check/text.ts'

/**
 * The check of checksums ends after this time; that of sizes and commits is always complete. Below one probe's limit.
 */
const checkMs = 8_000
const namedMax = 5

/** Whether the lake's commits and files are as written. */
export async function lakeFinding(dataDir: string): Promise<Finding> {
  const dir = join(dataDir, 'lake')
  if (!existsSync(join(dir, '_log'))) return ok('none yet')
  return findingOf((await checkLake({ dir, signal: AbortSignal.timeout(checkMs) })).report)
}

export function findingOf(report: LakeCheckReport): Finding {
  const { damaged, lost, files, filesChecked, version } = report
  const part = report.isComplete
    ? `${files} files`
    : `${filesChecked} of ${files} files (riverbank lake check reads all)`
  const told = lost.length === 0 ? '' : `, ${lost.length} ranges declared lost`
  if (damaged.length === 0) return ok(`version ${version}, checksums of ${part}${told}`)
  const named = damaged.slice(0, namedMax).map(faultText)
  const more = damaged.length > namedMax ? [`and ${damaged.length - namedMax} more`] : []
  return fail([...named, ...more].join('\n'), 'riverbank lake repair says what can be done')
}
