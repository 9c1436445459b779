import { beginDraft, setProgress, type EntityState, type StoredResponse } from '../../engine/states.ts'
import { applyTo } from '../../engine/observe.ts'
import type { Observation } from '../../engine/observation.ts'
import type { EntityPlan } from '../../engine/plan.ts'
import { beyond, unnumbered, type HistoryRow } from './history-row.ts'

export interface RebuiltState {
  readonly id: string
  readonly state: EntityState
  /** When the log took its newest event. */
  readonly appendTimeMs: number
}

/** An event without a sequence number in the lake, kept as long as it may come before others. */
type Unnumbered = HistoryRow

/**
 * Rebuilds one entity's last incarnation row by row with the processor's engine. Numbers without a row belong to
 * duplicates and to events that were applied and not published: it puts these between the others in their partition's
 * order.
 */
export class IncarnationBuilder {
  readonly id: string
  private readonly plan: EntityPlan
  private readonly committed: ReadonlyMap<number, number>
  private unnumbered: Unnumbered[] = []
  private state: EntityState | null = null
  private appendTimeMs = 0
  private readonly next = new Map<number, number>()
  private readonly responses = new Map<number, StoredResponse[]>()

  constructor(plan: EntityPlan, id: string, committed: ReadonlyMap<number, number>) {
    this.plan = plan
    this.id = id
    this.committed = committed
  }

  /** Rows without a number come first, the others in the order of their numbers. */
  add(row: HistoryRow): void {
    if (row.sequence < 0) {
      this.unnumbered.push({ ...row, data: { ...row.data } })
      return
    }
    let { state } = this
    if (state?.incarnation !== row.incarnation) state = this.begin(row)
    if (state.sequence < row.sequence) this.fill(state, row)
    // After a loss two events can have one number; both count, and none is given again.
    state.sequence = Math.max(state.sequence, row.sequence)
    this.apply(state, row)
  }

  /** Null for an entity without a numbered row. */
  finish(): RebuiltState | null {
    const { id, state, appendTimeMs } = this
    if (state === null) return null
    for (const row of this.unnumbered) if (row.sequence === unnumbered) this.apply(state, row)
    for (const [partition, next] of this.next) {
      setProgress(state, { partition, next, responses: this.responses.get(partition) ?? [] })
    }
    return { id, state, appendTimeMs: Math.max(appendTimeMs, this.appendTimeMs) }
  }

  private begin(row: HistoryRow): EntityState {
    const state = beginDraft(this.plan, null, row.appendTimeMs)
    state.incarnation = row.incarnation
    state.sequence = row.incarnation
    // Events older than half a TTL before this incarnation belong to an earlier one.
    const oldestMs = row.incarnation / 1_000 - this.plan.ttlMs / 2
    this.unnumbered = this.unnumbered.filter((one) => one.appendTimeMs >= oldestMs)
    this.next.clear()
    this.responses.clear()
    this.state = state
    return state
  }

  /** Fills the free numbers below the row's: first with its own partition's earlier events, then in the log's order. */
  private fill(state: EntityState, { sequence, partition, offset, appendTimeMs }: HistoryRow): void {
    const isBefore = (one: Unnumbered) => one.partition === partition && one.offset < offset
    const isElsewhere = (one: Unnumbered) => one.partition !== partition && one.sequence === unnumbered
    const isEarly = (one: Unnumbered) => isElsewhere(one) && one.appendTimeMs <= appendTimeMs
    // Before an incarnation's first row nothing is known, and no event under way is that old.
    const isUnderWay = (one: Unnumbered) => one.partition !== partition && one.sequence === beyond && this.next.size > 0
    for (const isDue of [isBefore, isEarly, isElsewhere, isUnderWay]) {
      while (state.sequence < sequence) {
        const at = this.unnumbered.findIndex(isDue)
        if (at < 0) break
        const [row] = this.unnumbered.splice(at, 1)
        if (row !== undefined) this.apply(state, row)
      }
    }
  }

  private apply(state: EntityState, row: HistoryRow): void {
    const { partition, offset, appendTimeMs, eventId, timeMs, eventTimeMs, data, binding, verdict, isScored, record } =
      row
    const isUncommitted = offset >= (this.committed.get(partition) ?? 0)
    const reads = isUncommitted && isScored
    const observation: Observation = {
      ...{ offset, appendTimeMs, eventId, timeMs, eventTimeMs, data, binding, reads, verdict },
      record: () => record,
    }
    const response = applyTo(this.plan, state, observation)
    this.next.set(partition, Math.max(this.next.get(partition) ?? 0, offset + 1))
    if (appendTimeMs > this.appendTimeMs) this.appendTimeMs = appendTimeMs
    if (!isUncommitted) return
    const known = this.responses.get(partition)
    if (known === undefined) this.responses.set(partition, [response])
    else known.push(response)
  }
}
