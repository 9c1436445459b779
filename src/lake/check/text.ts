import type { LostRange } from '../commit/commit.ts'
import type { Fault, LakeCheckReport } from './lake-check.ts'

/** The report for people: damage, then what was only noticed, and a last line that counts. */
export function renderLakeCheck(report: LakeCheckReport): string {
  const lines = [
    ...report.damaged.map((fault) => `damaged  ${faultText(fault)}`),
    ...report.lost.map((range) => `lost     ${rangeText(range)}: declared lost`),
    ...report.unnamed.map(({ path }) => `unnamed  ${path}: no commit names it, so no reader sees it`),
  ]
  const { files, filesChecked, bytesChecked, commits, version, seconds } = report
  const stopped = report.isComplete ? '' : `stopped after ${filesChecked} of ${files} files: `
  const verdict = report.damaged.length === 0 ? (report.isComplete ? 'ok' : 'nothing damaged so far') : 'DAMAGED'
  const counts = [
    `${report.damaged.length} damaged`,
    `${commits} commits`,
    `${filesChecked} files`,
    `${(bytesChecked / 1e6).toFixed(1)} MB`,
  ]
  lines.push(`${stopped}${verdict}: ${counts.join(', ')}, lake version ${version}, ${seconds.toFixed(1)} s`)
  if (report.damaged.length > 0) lines.push('riverbank lake repair says what can be done')
  return `${lines.join('\n')}\n`
}

export function faultText(fault: Fault): string {
  if (fault.kind === 'file') return `file ${fault.path}: ${fault.damage}, ${rangeText(fault)}`
  return `${fault.kind} ${fault.name}: ${fault.damage}, ${fault.detail}`
}

export function rangeText({ table, topic, partition, firstOffset, lastOffset, rows }: LostRange): string {
  const what = table === null ? '' : ` of ${table}`
  const count = rows === null ? '' : `, ${rows} rows`
  return `${topic} partition ${partition} offsets ${firstOffset} to ${lastOffset}${what}${count}`
}
