import { table } from '../../src/app/command-line/table.ts'

export interface Outcome {
  readonly fault: string
  readonly driver: string
  readonly seen: number
  readonly payments?: number
  readonly violations?: readonly string[]
  /** Rows that differ after lost acknowledged writes, as they may. */
  readonly apart?: number
}

export interface Row {
  readonly fault: string
  readonly driver: string
  episodes: number
  seen: number
  payments: number
  apart: number
  violations: number
}

/** The results of all episodes. */
export class Results {
  readonly violations: string[] = []
  readonly #rows = new Map<string, Row>()

  add({ fault, driver, seen, payments = 0, violations = [], apart = 0 }: Outcome): void {
    const name = `${fault} ${driver}`
    const row = this.#rows.get(name) ?? { fault, driver, episodes: 0, seen: 0, payments: 0, apart: 0, violations: 0 }
    this.#rows.set(name, row)
    row.episodes += 1
    row.seen += seen
    row.payments += payments
    row.apart += apart
    row.violations += violations.length
    this.violations.push(...violations.map((text) => `${name}: ${text}`))
  }

  get rows(): readonly Row[] {
    return [...this.#rows.values()]
  }

  get failed(): boolean {
    return this.violations.length > 0
  }

  /** Faults that did not take effect: they proved nothing. */
  get unseen(): readonly Row[] {
    return this.rows.filter(({ seen }) => seen === 0)
  }

  text(): string {
    return table(this.rows.map((row) => ({ ...row })))
  }
}
