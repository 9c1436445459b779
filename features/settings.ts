import { z } from 'zod'
import { currencyCodes } from './currency.ts'

/**
 * What an installation may choose of these definitions; the programs read it with their own settings. Once an
 * installation has data it keeps its choice.
 */
export const featureSettings = {
  CURRENCY: z
    .enum(currencyCodes, 'must be an ISO 4217 code, such as EUR')
    .default('EUR')
    .describe(
      'ISO 4217 code of the currency of all amounts: others are refused, nothing is converted; a model is trained for one',
    ),
}

export interface FeatureSettings {
  readonly CURRENCY: string
}

/** The settings of the committed feature set and of the models that come with it. */
export const defaultSettings: FeatureSettings = z.object(featureSettings).parse({})
