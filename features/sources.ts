import { z } from 'zod'
import { currencyCodes } from './currency.ts'
import { defaultSettings } from './settings.ts'
import { eventId } from '../src/define/event-id.ts'
import { defineEvent } from '../src/define/event-type.ts'

/** An id of an entity: printable, short, and safe in keys, paths (`.`, `..`) and terminals. */
const entityId = z
  .string()
  .regex(/^(?!\.\.?$)[\w.:@-]{1,64}$/, 'must be 1 to 64 letters, digits or _ . : @ -, and not "." or ".."')
const currency = z.enum(currencyCodes, 'must be an ISO 4217 code')
/**
 * In minor units: up to 100 million units of a currency with two digits. In one window 900,000 payments of this size
 * still sum exactly (2^53 minor units).
 */
const amountMinor = z.number().int().min(0).max(10_000_000_000)
const timeMs = z.number().int().min(0).max(8_640_000_000_000_000)

const entityIdCodes = { missing: 'missing_entity_id', invalid: 'invalid_entity_id' } as const
const fieldCodes = {
  customerId: entityIdCodes,
  terminalId: entityIdCodes,
  amountMinor: 'invalid_amount',
} as const

const paymentV1 = z.object({ customerId: entityId, terminalId: entityId, amountMinor })
const paymentV2 = paymentV1.extend({ currency })

/** What every label repeats of its payment, so that no reader must look it up. */
const labelled = z.object({
  paymentId: eventId,
  customerId: entityId,
  terminalId: entityId,
  amountMinor,
  currency,
  /** When the payment happened: the label counts there, not when it became known. */
  paymentTimeMs: timeMs,
})
const profileV1 = z.object({
  customerId: entityId,
  homeCountry: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 alpha-2 code'),
  segment: z.enum(['private', 'business']),
  customerSinceMs: timeMs,
})

/**
 * The events of an installation with amounts in one currency: sums over several would be wrong, and nothing here
 * converts them, so intake refuses payments and labels in another one (`value_not_accepted`).
 */
export function paymentEvents(installed: string) {
  const accepts = { currency: [installed] }

  /** A customer pays at a terminal. Scored. */
  const paymentInitiated = defineEvent({
    type: 'payment.initiated',
    aggregateType: 'customer',
    aggregateField: 'customerId',
    timestamp: 'time',
    fieldCodes,
    accepts,
    scored: {
      emits: 'payment.scored',
      id: 'paymentId',
      time: 'paymentTimeMs',
      repeats: ['customerId', 'terminalId', 'amountMinor', 'currency'],
      worth: 'amountMinor',
    },
    examples: [{ customerId: 'c-1', terminalId: 't-1', amountMinor: 1250, currency: installed }],
    view: 'payments',
    versions: {
      // Before currencies were recorded there was only one.
      1: { schema: paymentV1, upcast: (old: z.infer<typeof paymentV1>) => ({ ...old, currency: installed }) },
      2: { schema: paymentV2 },
    },
    current: paymentV2,
  })

  function labelOfPayment<Type extends string, const Kinds extends readonly string[]>(
    type: Type,
    kinds: Kinds,
    outcome: { readonly withdraws?: true } = {},
  ) {
    const schema = labelled.extend({ kind: z.enum(kinds) })
    return defineEvent({
      type,
      aggregateType: 'customer',
      aggregateField: 'customerId',
      timestamp: 'paymentTimeMs',
      // Card schemes take chargebacks for 540 days.
      times: { observedPast: '730d' },
      accepts,
      fieldCodes,
      label: {
        of: paymentInitiated,
        subject: 'paymentId',
        repeats: {
          customerId: 'customerId',
          terminalId: 'terminalId',
          amountMinor: 'amountMinor',
          currency: 'currency',
          paymentTimeMs: 'time',
        },
        kind: 'kind',
        says: 'fraud',
        ...outcome,
      },
      versions: { 1: { schema } },
      current: schema,
    })
  }

  return {
    paymentInitiated,
    /** A label: this payment was fraud. Of all labels of a payment the newest one by its own time counts. */
    fraudReported: labelOfPayment('fraud.reported', ['chargeback', 'confirmed_fraud']),
    /** Withdraws the report of a payment, which has no label from now on. */
    fraudWithdrawn: labelOfPayment('fraud.withdrawn', ['chargeback_won', 'reported_in_error'], { withdraws: true }),
  }
}

/** The events in the default currency. Views read the same fields, of the same types, in all currencies. */
export const { paymentInitiated, fraudReported, fraudWithdrawn } = paymentEvents(defaultSettings.CURRENCY)

/** Event-carried state: a customer's profile as it is from now on, complete in itself. */
export const customerProfileChanged = defineEvent({
  type: 'customer.profile_changed',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  fieldCodes,
  versions: { 1: { schema: profileV1 } },
  current: profileV1,
})

export type PaymentInitiated = z.infer<typeof paymentV2>
export type FraudReported = z.infer<typeof fraudReported.current>
export type FraudWithdrawn = z.infer<typeof fraudWithdrawn.current>
export type CustomerProfileChanged = z.infer<typeof profileV1>
