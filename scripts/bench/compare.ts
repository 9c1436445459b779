import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { median, type Measurement } from './measurement.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** The parts of a report of `--json` that a later run reads. */
const reportSchema = z.object({
  measuredAt: z.string(),
  environment: z.object({ commit: z.string().nullable() }),
  measurements: z.array(
    z.object({
      benchmark: z.string(),
      driver: z.enum(['redis', 'kafka']).nullable(),
      name: z.string(),
      unit: z.string(),
      values: z.array(z.number().nullable()),
    }),
  ),
})

export type EarlierReport = z.infer<typeof reportSchema>

/** Errors: `report_unreadable`. */
export async function readReport(file: string): Promise<EarlierReport> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RiverbankError('report_unreadable', `${file} cannot be compared with: ${why}`, { cause })
  }
  const parsed = reportSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const why = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`
  throw new RiverbankError('report_unreadable', `${file} is no report of npm run bench -- --json (${why})`)
}

export type Verdict = 'faster' | 'slower' | 'changed' | 'within noise' | 'one round' | 'new'

/** One measured share of a change below which nothing is reported, however narrow the ranges are. */
const shareMin = 0.03
/** A single round knows no noise of its own. */
const shareOfOneRound = 0.2

/**
 * Judges the values of a metric against the earlier ones. A change is beyond noise when no round of one run lies in the
 * range of the other run, and the medians differ by 3 % or more. Where a run has one round, the range is a point: then
 * a change below 20 % is `one round`, not judged.
 */
export function verdictOf(before: readonly number[], after: readonly number[], unit: string): Verdict {
  if (before.length === 0 || after.length === 0) return 'new'
  const [from, to] = [median(before), median(after)]
  const share = Math.abs(to - from) / Math.abs(from)
  const overlap = Math.max(...before) >= Math.min(...after) && Math.max(...after) >= Math.min(...before)
  if (overlap || !(share >= shareMin)) return 'within noise'
  if (Math.min(before.length, after.length) === 1 && share < shareOfOneRound) return 'one round'
  const better = betterOf(unit)
  if (better === null) return 'changed'
  return to > from === (better === 'more') ? 'faster' : 'slower'
}

/** Whether more is better of a unit; null where neither is, such as of a ratio. */
function betterOf(unit: string): 'more' | 'less' | null {
  if (unit.endsWith('/s')) return 'more'
  if (/^(µs|ms|s|bytes|MB)(\/|$)/.test(unit)) return 'less'
  return null
}

/** The rows of the printed comparison: every metric of this run that the earlier one has. */
export function comparisonRows(earlier: EarlierReport, now: readonly Measurement[]): Record<string, string>[] {
  const keyOf = ({ benchmark, driver, name, unit }: Pick<Measurement, 'benchmark' | 'driver' | 'name' | 'unit'>) =>
    [benchmark, driver, name, unit].join('\0')
  const known = new Map(earlier.measurements.map((one) => [keyOf(one), one.values.flatMap((value) => value ?? [])]))
  return now.map((one) => {
    const before = known.get(keyOf(one)) ?? []
    const verdict = verdictOf(before, one.values, one.unit)
    const percent = ((one.median / median(before) - 1) * 100).toFixed(1)
    return {
      ...{ benchmark: one.benchmark, log: one.driver ?? '-', what: one.name, unit: one.unit },
      before: before.length === 0 ? '-' : String(Number(median(before).toPrecision(4))),
      now: String(Number(one.median.toPrecision(4))),
      change: before.length === 0 ? '-' : `${percent} %`,
      verdict,
    }
  })
}
