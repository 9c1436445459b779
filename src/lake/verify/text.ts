import type { InvariantReport, VerifyReport, Violation } from './report.ts'

/** The report for people: one line per invariant, then what is wrong, then what is left out. */
export function renderVerify(report: VerifyReport): string {
  const { invariants } = report
  const lines = Object.entries(invariants).map(([name, invariant]) => lineOf(name, invariant))
  for (const [name, invariant] of Object.entries(invariants)) {
    for (const [code, count] of Object.entries(invariant.byCode)) {
      lines.push('', `${name} ${code}: ${number(count)}`)
      for (const example of invariant.examples.filter((e) => e.code === code)) lines.push(`  ${exampleText(example)}`)
    }
  }
  for (const damage of report.damaged) lines.push('', `damaged ${damage.code}: ${exampleText(damage)}`)
  if (report.damaged.length > 0) lines.push('riverbank lake repair says what can be done')
  const byFeature = Object.entries(invariants.I3.byFeature)
  if (byFeature.length > 0) {
    lines.push('', 'I3 mismatches by feature:')
    for (const [feature, count] of byFeature) lines.push(`  ${feature}: ${number(count)}`)
  }
  const waiting = pendingText(report)
  lines.push('')
  const age = report.oldestPendingMs === null ? '' : `; the oldest for ${(report.oldestPendingMs / 1_000).toFixed(1)} s`
  if (waiting !== '') lines.push(`pending (not judged): ${waiting}${age}`)
  for (const note of report.notes) lines.push(`note: ${note}`)
  const verdict = report.ok
    ? 'ok'
    : `NOT OK, ${number(report.violations)} violations, ${number(report.damaged.length)} damaged`
  lines.push(`${verdict}: lake version ${report.lakeVersion}, ${report.seconds.toFixed(1)} s`)
  return `${lines.join('\n')}\n`
}

function lineOf(name: string, { title, unchecked, counts, violations }: InvariantReport): string {
  const verdict = unchecked !== null ? 'UNCHECKED' : violations === 0 ? 'ok' : 'VIOLATED'
  const details = Object.entries(counts).map(([label, count]) => `${number(count)} ${label}`)
  const rest = unchecked ?? [...details, `${number(violations)} violations`].join(', ')
  return `${name}  ${title.padEnd(12)} ${verdict.padEnd(9)} ${rest}`
}

function exampleText({ fields }: Violation): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
}

function pendingText({ pending, scored }: VerifyReport): string {
  const parts: readonly (readonly [number | null, string])[] = [
    [pending.eventRecords, 'event records not yet in the lake'],
    [pending.scoreRecords, 'score records not yet in the lake'],
    ...scored.map((plural) => [pending[plural] ?? null, `${plural} not yet scored`] as const),
    [pending.otherEvents, 'other events not yet observed'],
    [pending.reads, 'reads that need an earlier observation'],
  ]
  return parts
    .flatMap(([count, what]) => (count === null || count === 0 ? [] : [`${number(count)} ${what}`]))
    .join(', ')
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}
