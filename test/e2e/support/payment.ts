import { paymentInitiated } from '../../../features/sources.ts'

/** A payment as an application sends it over HTTP, made now. */
export function payment(eventId: string, data: Readonly<Record<string, unknown>> = {}) {
  const customerId = 'c-e2e'
  return {
    eventId,
    eventType: paymentInitiated.type,
    timestamp: new Date().toISOString(),
    aggregateId: customerId,
    aggregateType: paymentInitiated.aggregateType,
    version: paymentInitiated.currentVersion,
    data: { customerId, terminalId: 't-e2e', amountMinor: 1_250, currency: 'EUR', ...data },
  }
}
