import { compareWithInput } from './comparison.ts'
import type { Installation } from './installation.ts'
import { until } from './wait.ts'
import { runVerify, type VerifyReport } from '../../src/app/installation/lake/verify.ts'

export interface CheckResult {
  readonly violations: readonly string[]
  /** After writes were lost: rows that differ from their copies or their recomputation, as they then may. */
  readonly apart: number
  readonly payments: number
  readonly duplicates: number
}

/**
 * What a store that lost acknowledged writes may do: another order of what one entity saw in its last moments. Each of
 * these is about values and numbers in rows that were published before; nothing here is an event lost or counted twice.
 */
const ofOrder: ReadonlySet<string> = new Set([
  'mismatch',
  'copies_differ',
  'sequence_twice',
  'sequence_gap',
  'sequence_before_incarnation',
  'incarnations_overlap',
])

const processedMs = 120_000

/** Waits until everything is processed and in the lake, then asks `verify` and compares with the input. */
export async function checkInstallation(installation: Installation, mayDiffer: boolean): Promise<CheckResult> {
  const { config, log } = installation
  await untilProcessed(installation)
  const report = await runVerify(config, { log, fast: false })
  const compared = await compareWithInput(installation)
  const { violations, apart } = judge(report, mayDiffer)
  if (compared.differing > 0 && !mayDiffer) violations.push(`I2: ${compared.differing} copies differ`)
  return {
    violations: [...violations, ...compared.violations],
    apart: apart + (mayDiffer ? compared.differing : 0),
    payments: compared.payments,
    duplicates: compared.duplicates,
  }
}

async function untilProcessed({ log, names, fleet }: Installation): Promise<void> {
  const { topics, groups } = names
  await until('every record is processed', processedMs, async () => {
    const ranges = (await log.describeTopic(topics.events)) ?? []
    const committed = await log.committed(groups.process, topics.events)
    return ranges.every(({ partition, start, end }) => (committed.get(partition) ?? start) === end)
  })
  // Who has just committed may still be about to be told; nobody may be half-way when positions are compared.
  await fleet.untilShared()
}

function judge(report: VerifyReport, mayDiffer: boolean): { violations: string[]; apart: number } {
  const violations: string[] = []
  let apart = 0
  for (const { code, fields } of report.damaged) violations.push(`damaged: ${code} ${JSON.stringify(fields)}`)
  for (const [name, invariant] of Object.entries(report.invariants)) {
    if (invariant.unchecked !== null) violations.push(`${name}: unchecked, ${invariant.unchecked}`)
    for (const [code, count] of Object.entries(invariant.byCode)) {
      if (mayDiffer && ofOrder.has(code)) {
        apart += count
        continue
      }
      const example = invariant.examples.find((one) => one.code === code)
      violations.push(`${name}: ${count} × ${code}, such as ${JSON.stringify(example?.fields)}`)
    }
  }
  const waiting = Object.entries(report.pending).filter(([, count]) => count !== 0)
  // After a loss some reads can never be recomputed: what came before them has other numbers now.
  const stuck = mayDiffer ? waiting.filter(([what]) => what !== 'reads') : waiting
  if (stuck.length > 0) violations.push(`never arrived: ${JSON.stringify(Object.fromEntries(stuck))}`)
  return { violations, apart }
}
