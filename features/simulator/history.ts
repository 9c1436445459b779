import { defaultSettings } from '../settings.ts'
import type { PaymentColumns } from './payments.ts'
import {
  datasetEpochMs,
  labelEvent,
  paymentAt,
  paymentEvent,
  type LabelEvent,
  type SimulatedEvent,
} from './payment-events.ts'

export interface HistoryOptions {
  /** When day 0 begins, milliseconds UTC; 2018-04-01 by default. See `originEndingAt`. */
  readonly originMs?: number
  /** Put before every event id. Runs that share a log need different ones, or their events count as duplicates. */
  readonly idPrefix?: string
  /** The installation's currency; the default one when left out. */
  readonly currency?: string
  /** How long after its payment a fraud is reported; null: never. */
  readonly labelDelayMs: number | null
  /** Labels of this time and later are left out; by default those from the range's end on. */
  readonly labelsBeforeMs?: number
}

/**
 * Payments and the labels of their frauds, in time order. At equal times the label comes first: a read of a window that
 * ends at `t − delay` must see the label of a payment at exactly that moment. It has no labels of payments before the
 * range.
 */
export function* history(columns: PaymentColumns, options: HistoryOptions): Generator<SimulatedEvent> {
  const { originMs, naming, labelDelayMs, labelsBeforeMs } = resolve(columns, options)
  const labels = labelDelayMs === null ? null : new LabelRows(columns)
  for (let row = 0; row < columns.length; row += 1) {
    const payment = paymentAt(columns, row, originMs)
    if (labels !== null && labelDelayMs !== null) {
      for (const label of labels.take(Math.min(payment.timeMs + 1, labelsBeforeMs), originMs, labelDelayMs)) {
        yield labelEvent(label, naming, labelDelayMs)
      }
    }
    yield paymentEvent(payment, naming)
  }
  if (labels === null || labelDelayMs === null) return
  for (const label of labels.take(labelsBeforeMs, originMs, labelDelayMs)) {
    yield labelEvent(label, naming, labelDelayMs)
  }
}

/** The labels that {@link history} with the same options leaves out, in time order: what is still to be reported. */
export function pendingLabels(columns: PaymentColumns, options: HistoryOptions): LabelEvent[] {
  const { originMs, naming, labelDelayMs, labelsBeforeMs } = resolve(columns, options)
  if (labelDelayMs === null) return []
  const pending: LabelEvent[] = []
  for (let row = columns.length - 1; row >= 0; row -= 1) {
    const payment = paymentAt(columns, row, originMs)
    if (payment.timeMs + labelDelayMs < labelsBeforeMs) break
    if (columns.fraud[row] === 1) pending.push(labelEvent(payment, naming, labelDelayMs))
  }
  return pending.reverse()
}

/** How many events {@link history} yields with these options. */
export function historyLength(columns: PaymentColumns, options: HistoryOptions): number {
  if (options.labelDelayMs === null) return columns.length
  const frauds = columns.fraud.reduce((sum, value) => sum + value, 0)
  return columns.length + frauds - pendingLabels(columns, options).length
}

/** Milliseconds UTC of the range's end. */
export function historyEndMs(columns: PaymentColumns, originMs: number): number {
  return originMs + columns.endSecond * 1000
}

function resolve(columns: PaymentColumns, options: HistoryOptions) {
  const originMs = options.originMs ?? datasetEpochMs
  return {
    originMs,
    naming: { idPrefix: options.idPrefix ?? '', currency: options.currency ?? defaultSettings.CURRENCY },
    labelDelayMs: options.labelDelayMs,
    labelsBeforeMs: options.labelsBeforeMs ?? historyEndMs(columns, originMs),
  }
}

/** Walks the frauds: with one delay for all, labels are in the order of their payments. */
class LabelRows {
  readonly #columns: PaymentColumns
  #row = 0

  constructor(columns: PaymentColumns) {
    this.#columns = columns
  }

  /** Payments whose label is due before `beforeMs` and was not taken yet. */
  *take(beforeMs: number, originMs: number, delayMs: number) {
    const { length, fraud, second } = this.#columns
    while (this.#row < length && originMs + (second[this.#row] ?? 0) * 1000 + delayMs < beforeMs) {
      const row = this.#row
      this.#row += 1
      if (fraud[row] === 1) yield paymentAt(this.#columns, row, originMs)
    }
  }
}
