import { simulatedEvent, type SimulatedEvent as AnyEvent } from '../../src/define/simulator.ts'
import { fraudReported, paymentInitiated } from '../sources.ts'
import type { PaymentColumns } from './payments.ts'

export type PaymentEvent = ReturnType<typeof paymentEvent>
export type LabelEvent = ReturnType<typeof labelEvent>
export type SimulatedEvent = PaymentEvent | LabelEvent

/** Day 0 of the data set, a Sunday. */
export const datasetEpochMs = Date.UTC(2018, 3, 1)

/** One payment as the generators know it. */
export interface Payment {
  /** Unique within one prefix; both ids contain it. */
  readonly index: number
  readonly timeMs: number
  readonly customer: number
  readonly terminal: number
  readonly cents: number
  readonly scenario: number
}

/** What a run adds to each payment. */
export interface Naming {
  /** Before every event id. */
  readonly idPrefix: string
  /** The installation's currency: intake refuses others. */
  readonly currency: string
}

export const scoredTypes: ReadonlySet<string> = new Set([paymentInitiated.type])

export function isPayment(event: AnyEvent): event is PaymentEvent {
  return event.eventType === paymentInitiated.type
}

export function isLabel(event: AnyEvent): event is LabelEvent {
  return event.eventType === fraudReported.type
}

export function paymentEvent(payment: Payment, { idPrefix, currency }: Naming) {
  const { customer, terminal, cents, timeMs } = payment
  return simulatedEvent(paymentInitiated, {
    id: paymentId(payment.index, idPrefix),
    timeMs,
    data: { customerId: String(customer), terminalId: String(terminal), amountMinor: cents, currency },
  })
}

/**
 * The label of a payment, `delayMs` after it. A bank itself notices an amount above the limit; the rest are
 * chargebacks.
 */
export function labelEvent(payment: Payment, { idPrefix, currency }: Naming, delayMs: number) {
  const cause = paymentId(payment.index, idPrefix)
  return simulatedEvent(fraudReported, {
    id: `${idPrefix}fraud-${payment.index}`,
    timeMs: payment.timeMs + delayMs,
    cause,
    data: {
      paymentId: cause,
      customerId: String(payment.customer),
      terminalId: String(payment.terminal),
      amountMinor: payment.cents,
      currency,
      paymentTimeMs: payment.timeMs,
      kind: payment.scenario === 1 ? 'confirmed_fraud' : 'chargeback',
    },
  })
}

/** A row of the columns with day 0 at `originMs`. */
export function paymentAt(columns: PaymentColumns, row: number, originMs: number): Payment {
  return {
    index: columns.firstIndex + row,
    timeMs: originMs + (columns.second[row] ?? 0) * 1000,
    customer: columns.customer[row] ?? 0,
    terminal: columns.terminal[row] ?? 0,
    cents: columns.cents[row] ?? 0,
    scenario: columns.scenario[row] ?? 0,
  }
}

function paymentId(index: number, idPrefix: string): string {
  return `${idPrefix}pay-${index}`
}
