import type { z } from 'zod'
import { scoreForms } from '../../src/scoring/score-form.ts'
import type { ScoreData } from '../../src/scoring/output-events.ts'
import { paymentInitiated, type PaymentInitiated } from '../../features/sources.ts'

const [form] = scoreForms([paymentInitiated])
if (form === undefined) throw new Error('payments are scored')

/** The scores of payments, described. */
export const paymentScored = form

/** The data of `payment.scored`. */
export type PaymentScored = ScoreData &
  PaymentInitiated & {
    /** eventId of the payment. */
    readonly paymentId: string
    /** The payment's own time, milliseconds UTC; its windows end here. */
    readonly paymentTimeMs: number
  }

export const paymentScoredSchema = form.schema as unknown as z.ZodType<PaymentScored>
