import { z } from 'zod'
import { defineEvent } from '../../src/define/event-type.ts'

/* What happens in random streams: payments, which are scored, refunds, and labels of payments. */

const paid = z.object({
  customerId: z.string(),
  terminalId: z.string(),
  amount: z.number().int(),
  items: z.number().int(),
  kind: z.string(),
  online: z.boolean(),
  note: z.string().optional(),
})
const refunded = z.object({ customerId: z.string(), amount: z.number().int() })

export const payment = defineEvent({
  type: 'payment.made',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  versions: { 1: { schema: paid } },
  current: paid,
})
export const refund = defineEvent({
  type: 'payment.refunded',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'time',
  versions: { 1: { schema: refunded } },
  current: refunded,
})

const labelled = z.object({
  paymentId: z.string(),
  customerId: z.string(),
  terminalId: z.string(),
  amount: z.number().int(),
  paidMs: z.number().int(),
  loss: z.number().int(),
  reason: z.string(),
  sure: z.boolean(),
})
const labelOf = {
  of: payment,
  subject: 'paymentId',
  repeats: { customerId: 'customerId', terminalId: 'terminalId', amount: 'amount', paidMs: 'time' },
} as const

export const flagged = defineEvent({
  type: 'payment.flagged',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'paidMs',
  label: labelOf,
  versions: { 1: { schema: labelled } },
  current: labelled,
})
/** Takes a flag back. */
export const cleared = defineEvent({
  type: 'payment.cleared',
  aggregateType: 'customer',
  aggregateField: 'customerId',
  timestamp: 'paidMs',
  label: labelOf,
  versions: { 1: { schema: labelled } },
  current: labelled,
})
