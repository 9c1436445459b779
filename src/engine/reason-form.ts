import { z } from 'zod'

/** The form of a value in a reason; scoring makes the words. */
export const reasonUnits = ['number', 'amount', 'minor_units', 'share', 'times', 'seconds'] as const
export type ReasonUnit = (typeof reasonUnits)[number]

/**
 * The reason when a feature pushes a score towards fraud. `measure`: a sentence with `{value}`, and `{s}` where more
 * than one makes a plural. `condition`: one sentence for 1 and one for 0.
 */
export const reasonFormSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('measure'),
    code: z.string(),
    text: z.string(),
    unit: z.enum(reasonUnits),
    /** Digits of the minor unit, for amounts; 2 when left out. */
    digits: z.number().int().min(0).max(4).optional(),
  }),
  z.object({ kind: z.literal('condition'), code: z.string(), yes: z.string(), no: z.string() }),
])
export type ReasonForm = z.infer<typeof reasonFormSchema>
