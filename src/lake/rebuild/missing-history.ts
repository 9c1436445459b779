import { earlierOf, type Earlier, beginDraft, type EntityState } from '../../engine/states.ts'
import { applyTo } from '../../engine/observe.ts'
import type { EntityPlan } from '../../engine/plan.ts'
import type { HistoryRow } from './history-row.ts'

/** Computes one entity's history, row by row, as it was before each requested sequence number. */
export class MissingHistoryReader {
  readonly id: string
  private readonly plan: EntityPlan
  private readonly numbers: number[]
  private readonly earlier = new Map<number, Earlier>()
  private state: EntityState | null = null

  /** `numbers` ascending. */
  constructor(plan: EntityPlan, id: string, numbers: readonly number[]) {
    this.plan = plan
    this.id = id
    this.numbers = [...numbers]
  }

  add(row: HistoryRow): void {
    this.keepBelow(row.sequence)
    if (this.numbers.length === 0) return
    if (this.state?.incarnation !== row.incarnation) this.begin(row)
    const { state } = this
    if (state === null) return
    state.sequence = row.sequence
    const { offset, appendTimeMs, eventId, timeMs, eventTimeMs, data, binding } = row
    applyTo(this.plan, state, {
      ...{ offset, appendTimeMs, eventId, timeMs, eventTimeMs, data, binding, reads: false, verdict: row.verdict },
    })
  }

  /** By number; without histories whose beginning the lake lacks. */
  finish(): ReadonlyMap<number, Earlier> {
    this.keepBelow(Infinity)
    return this.earlier
  }

  /** An incarnation whose beginning is not in the lake is unknown. */
  private begin(row: HistoryRow): void {
    this.state = null
    if (row.sequence !== row.incarnation) return
    const state = beginDraft(this.plan, null, row.appendTimeMs)
    state.incarnation = row.incarnation
    this.state = state
  }

  private keepBelow(sequence: number): void {
    for (let [number] = this.numbers; number !== undefined && number <= sequence; [number] = this.numbers) {
      this.numbers.shift()
      const { state } = this
      if (state === null) continue
      this.earlier.set(number, earlierOf(state))
    }
  }
}
