import { describe, expect, test } from 'vitest'
import { defaultSettings } from '../../../../features/settings.ts'
import { readConfig, readProject } from '../../../../src/app/installation/settings/config.ts'
import { definitions } from '../../../../src/app/installation/settings/definitions.ts'
import { createDerivedEvaluator } from '../../../../src/compile/reference/evaluator.ts'

const manifestIn = (CURRENCY: string) => definitions(readConfig({ RIVERBANK_CURRENCY: CURRENCY })).manifest

describe('the currency of an installation', () => {
  test('is a setting, EUR where nobody sets it', () => {
    expect(readConfig({}).projectSettings).toEqual(defaultSettings)
    expect(readConfig({ RIVERBANK_CURRENCY: 'JPY' }).projectSettings).toEqual({ CURRENCY: 'JPY' })
    expect(readProject({ RIVERBANK_CURRENCY: 'JPY', RIVERBANK_PARTITIONS: 'wrong' }).projectSettings).toEqual({
      CURRENCY: 'JPY',
    })
  })

  test.each(['EUX', 'eur', 'XAU', '€', '978'])('is refused at the start when it is %s', (currency) => {
    for (const read of [readConfig, readProject]) {
      expect(() => read({ RIVERBANK_CURRENCY: currency })).toThrow(
        expect.objectContaining({
          code: 'invalid_config',
          message: expect.stringMatching(/^RIVERBANK_CURRENCY: must be an ISO 4217 code/) as string,
        }) as Error,
      )
    }
  })

  test('leaves the feature set what it is where the minor unit is the same, so that models stay', () => {
    expect(manifestIn('USD')).toEqual(manifestIn('EUR'))
  })

  test.each([
    ['JPY', 0],
    ['KWD', 3],
  ])('changes what an amount in %s is and how reasons spell it', (currency, digits) => {
    const { set, manifest } = definitions(readConfig({ RIVERBANK_CURRENCY: currency }))
    expect(manifest.hash).not.toBe(manifestIn('EUR').hash)
    const formOf = (name: string) => manifest.features.find((feature) => feature.name === name)?.reason
    for (const name of ['amount', 'customer_mean_amount_7d', 'customer_spend__amount_sum_7d']) {
      expect(formOf(name), name).toMatchObject({ digits })
    }
    const nothing = Object.fromEntries(manifest.features.map(({ name }) => [name, 0]))
    const derived = createDerivedEvaluator(set)(nothing, { amountMinor: 12_500, timeMs: 0 })
    expect(derived).toMatchObject({ amount: 12_500 / 10 ** digits, customer_mean_amount_7d: 12_500 / 10 ** digits })
  })
})
