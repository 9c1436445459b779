/** One number that a benchmark measures once per round. */
export interface Metric {
  readonly benchmark: string
  /** The driver of the log that carried the events; null without a log. */
  readonly driver: 'redis' | 'kafka' | null
  readonly name: string
  readonly unit: string
  readonly goal?: Goal
}

/** The value that we want to reach; a benchmark reports it and never fails on it. */
export interface Goal {
  readonly kind: 'above' | 'below'
  readonly value: number
}

export interface Measurement extends Metric {
  /** One per round, in order. */
  readonly values: readonly number[]
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Collects one value per metric and round. */
export class Measurements {
  readonly #metrics = new Map<string, { readonly metric: Metric; readonly values: number[] }>()

  add(metric: Metric, value: number): void {
    const key = [metric.benchmark, metric.driver, metric.name].join('/')
    const known = this.#metrics.get(key)
    if (known === undefined) this.#metrics.set(key, { metric, values: [value] })
    else known.values.push(value)
  }

  /** All measurements in the order of their metrics' first value. */
  all(): Measurement[] {
    return [...this.#metrics.values()].map(({ metric, values }) => ({
      ...metric,
      values,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
    }))
  }
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? NaN
  const high = sorted[Math.floor(middle)] ?? NaN
  return (low + high) / 2
}

/** The smallest value that at least a share `q` of all values does not exceed (nearest rank); NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? NaN
}

/** The growth of y for each 1 of x by least squares; NaN for fewer than two points. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanOf = (pick: (point: { readonly x: number; readonly y: number }) => number) =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length
  const [x, y] = [meanOf((point) => point.x), meanOf((point) => point.y)]
  const covariance = meanOf((point) => (point.x - x) * (point.y - y))
  return covariance / meanOf((point) => (point.x - x) ** 2)
}

export function isReached(goal: Goal, value: number): boolean {
  return goal.kind === 'above' ? value > goal.value : value < goal.value
}

/** A row of the printed table. */
export function rowOf(measurement: Measurement): Record<string, string | number> {
  const { benchmark, driver, name, unit, values, median: middle, min, max, goal } = measurement
  return {
    benchmark,
    log: driver ?? '-',
    what: name,
    median: shown(middle),
    'min - max': `${shown(min)} - ${shown(max)}`,
    unit,
    rounds: values.length,
    goal: goal === undefined ? '' : goalText(goal, middle),
  }
}

function goalText(goal: Goal, value: number): string {
  return `goal ${goal.kind} ${shown(goal.value)}: ${isReached(goal, value) ? 'reached' : 'missed'}`
}

/** Three significant digits, thousands separated. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
