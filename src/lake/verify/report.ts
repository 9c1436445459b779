/** A value as a person and JSON can both read it: -0 is not 0. */
export type Shown = number | string | boolean | null

export interface Violation {
  /** Stable. */
  readonly code: string
  readonly fields: Readonly<Record<string, Shown>>
}

export interface InvariantReport {
  readonly title: string
  /** Null when it was checked, else why not. Unchecked is not ok. */
  readonly unchecked: string | null
  readonly counts: Readonly<Record<string, number>>
  readonly violations: number
  readonly byCode: Readonly<Record<string, number>>
  /** The first ones of each code. */
  readonly examples: readonly Violation[]
}

export interface ParityReport extends InvariantReport {
  /** Mismatches by feature; `score`, `decision` and `outcome` are listed beside the features. */
  readonly byFeature: Readonly<Record<string, number>>
}

/** What was under way and therefore not judged. Never a failure. */
export interface Pending {
  /** Records of the event and the score topic that are in the log and not yet in the lake; null without a log. */
  readonly eventRecords: number | null
  readonly scoreRecords: number | null
  /** Other events in the lake whose observation may still come. */
  readonly otherEvents: number
  /** Reads of an entity that cannot be recomputed yet, because an earlier observation of it may still come. */
  readonly reads: number
  /**
   * By the word for each scored type's events ({@link VerifyReport.scored}): those in the lake whose score may still
   * come.
   */
  readonly [scored: string]: number | null
}

export interface VerifyReport {
  readonly ok: boolean
  readonly lakeVersion: number
  readonly featureSet: string
  /** The words for the events of each scored type: the names of their views. */
  readonly scored: readonly string[]
  /**
   * What shows which events must have been scored. `committed`: everything below the processor's committed position,
   * because the lake has caught up with the log. `seen`: everything below the newest event of its partition that has a
   * score or an observation in the lake.
   */
  readonly watermark: 'committed' | 'seen'
  readonly invariants: {
    readonly I1: InvariantReport
    readonly I2: InvariantReport
    readonly I3: ParityReport
    /** Absent where no store was compared; the notes say so. */
    readonly I4?: InvariantReport
    readonly I5: InvariantReport
  }
  readonly pending: Pending
  /** Age of the oldest pending record, from its append time to the start of verify; null without one. */
  readonly oldestPendingMs: number | null
  /** Files and commits that are not what was written: no promise is broken, but their content is unknown. */
  readonly damaged: readonly Violation[]
  /** Values that differ from their recomputation: the violations of I3. */
  readonly mismatches: number
  readonly violations: number
  /** What was left out, and why. */
  readonly notes: readonly string[]
  readonly seconds: number
}

/** Examples kept of each code; the counts are complete. */
export const examplesMax = 10

/** Collects the counts and violations of one invariant. */
export class Tally {
  readonly title: string
  readonly byFeature = new Map<string, number>()
  private readonly counts = new Map<string, number>()
  private readonly byCode = new Map<string, number>()
  private readonly examples: Violation[] = []

  constructor(title: string, counts: readonly string[]) {
    this.title = title
    for (const name of counts) this.counts.set(name, 0)
  }

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  /** `fields` is called only while the code has few examples. `times`: how many violations this one stands for. */
  violation(code: string, fields: () => Violation['fields'], times = 1): void {
    const before = this.byCode.get(code) ?? 0
    this.byCode.set(code, before + times)
    const shown = this.examples.filter((example) => example.code === code).length
    if (shown < examplesMax) this.examples.push({ code, fields: fields() })
  }

  mismatch(feature: string, fields: () => Violation['fields'], times = 1): void {
    this.byFeature.set(feature, (this.byFeature.get(feature) ?? 0) + times)
    this.violation('mismatch', fields, times)
  }

  /** Counts mismatches of a feature, with examples of some. */
  mismatches(feature: string, total: number, examples: readonly Violation['fields'][]): void {
    for (const [i, fields] of examples.entries()) {
      this.mismatch(feature, () => fields, i === 0 ? total - examples.length + 1 : 1)
    }
  }

  /** Adds another tally; its examples come after this one's. */
  add(other: Tally): void {
    for (const [name, total] of other.counts) this.count(name, total)
    for (const [feature, total] of other.byFeature)
      this.byFeature.set(feature, (this.byFeature.get(feature) ?? 0) + total)
    for (const [code, total] of other.byCode) {
      this.byCode.set(code, (this.byCode.get(code) ?? 0) + total)
      const room = examplesMax - this.examples.filter((example) => example.code === code).length
      this.examples.push(...other.examples.filter((example) => example.code === code).slice(0, room))
    }
  }

  report(unchecked: string | null = null): ParityReport {
    return {
      title: this.title,
      unchecked,
      counts: Object.fromEntries(this.counts),
      violations: [...this.byCode.values()].reduce((sum, count) => sum + count, 0),
      byCode: Object.fromEntries(this.byCode),
      examples: this.examples,
      byFeature: Object.fromEntries([...this.byFeature].sort(([, a], [, b]) => b - a)),
    }
  }
}

export function shown(value: unknown): Shown {
  if (Object.is(value, -0)) return '-0'
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
}
