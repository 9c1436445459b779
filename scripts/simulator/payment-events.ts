import { fraudReported, paymentInitiated, type FraudReported, type PaymentInitiated } from '../../features/sources.ts'
import type { DomainEvent } from '../../src/events/event.ts'
import type { EventTimeMs } from '../../src/base/units.ts'
import type { PaymentColumns } from './payments.ts'

export type PaymentEvent = DomainEvent<PaymentInitiated> & { readonly eventType: 'payment.initiated' }
export type LabelEvent = DomainEvent<FraudReported> & { readonly eventType: 'fraud.reported' }
export type SimulatedEvent = PaymentEvent | LabelEvent

export const simulatorSource = 'urn:riverbank:simulator'
const metadata = { source: simulatorSource }

/** One payment as the generators know it. */
export interface Payment {
  /** Unique within one prefix; both ids are made of it. */
  readonly index: number
  readonly timeMs: number
  readonly customer: number
  readonly terminal: number
  readonly cents: number
  readonly scenario: number
}

/** What a run says of each payment. */
export interface Naming {
  /** Before every event id. */
  readonly idPrefix: string
  /** That of the installation: others are refused. */
  readonly currency: string
}

export function isPayment(event: SimulatedEvent): event is PaymentEvent {
  return event.eventType === paymentInitiated.type
}

export function paymentEvent(payment: Payment, { idPrefix, currency }: Naming): PaymentEvent {
  const eventId = paymentId(payment.index, idPrefix)
  const customerId = String(payment.customer)
  return {
    eventId,
    eventType: paymentInitiated.type,
    timestamp: payment.timeMs as EventTimeMs,
    aggregateId: customerId,
    aggregateType: paymentInitiated.aggregateType,
    version: paymentInitiated.currentVersion,
    correlationId: eventId,
    data: { customerId, terminalId: String(payment.terminal), amountMinor: payment.cents, currency },
    metadata,
  }
}

/** The label of a payment, `delayMs` after it. An amount above the limit a bank sees itself; the rest comes back. */
export function labelEvent(payment: Payment, { idPrefix, currency }: Naming, delayMs: number): LabelEvent {
  const cause = paymentId(payment.index, idPrefix)
  const customerId = String(payment.customer)
  return {
    eventId: `${idPrefix}fraud-${payment.index}`,
    eventType: fraudReported.type,
    timestamp: (payment.timeMs + delayMs) as EventTimeMs,
    aggregateId: customerId,
    aggregateType: fraudReported.aggregateType,
    version: fraudReported.currentVersion,
    causationId: cause,
    correlationId: cause,
    data: {
      paymentId: cause,
      customerId,
      terminalId: String(payment.terminal),
      amountMinor: payment.cents,
      currency,
      paymentTimeMs: payment.timeMs,
      kind: payment.scenario === 1 ? 'confirmed_fraud' : 'chargeback',
    },
    metadata,
  }
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
