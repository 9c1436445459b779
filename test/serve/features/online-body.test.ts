import { expect, test } from 'vitest'
import { seeded } from '../../../scripts/fuzz/definitions.ts'
import { isRiverbankError } from '../../../src/base/errors.ts'
import { createFeatureCatalog } from '../../../src/serve/features/feature-catalog.ts'
import { bodyReader, plainBody } from '../../../src/serve/features/online-body.ts'
import { parseBody } from '../../../src/serve/http/parameters.ts'
import { serveLimits } from '../../../src/serve/http/limits.ts'
import { paymentScored } from '../../support/payment-scores.ts'
import { testSeed as seed } from '../../support/seed.ts'
import { catalog as events, featureSet } from '../support/serve-fixture.ts'

const limits = { ...serveLimits, featureRowsMax: 3, featureNamesMax: 3 }
const catalog = createFeatureCatalog(featureSet, events)
const scoreForms = new Map([['payment.initiated', paymentScored]])
const { schema, read } = bodyReader({ limits, catalog: events, scoreForms }, catalog)

/** Members as requests have them, and as they have them by mistake. */
const choices: Readonly<Record<string, readonly unknown[]>> = {
  feature_service: ['fraud_v1', 'no_service', 1, null],
  features: [
    ['amount', 'customer_spend:amount_mean_5m'],
    ['amount', 'amount'],
    ['no_feature'],
    [],
    ['amount', 'amount', 'amount', 'amount'],
    [1],
    'amount',
    null,
  ],
  entities: [
    { customer: ['1', 2], terminalId: [] },
    { customer: ['1', '2', '3', '4'] },
    { nobody: ['1'] },
    { customer: [1.5] },
    { customer: [2 ** 60] },
    { customer: '1' },
    { customer: [null] },
    {},
    [],
    null,
    JSON.parse('{"__proto__": ["1"]}'),
  ],
  full_feature_names: [true, false, 'yes', null],
  asOf: ['2026-03-01T12:00:00Z', 1_700_000_000_000, 'soon', null],
  request: [{ amountMinor: 5 }, { amountMinor: [1, 2], time: '2026-03-01T12:00:00Z' }, { amountMinor: 'five' }, null],
  project: ['ours'],
}

function result(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (error) {
    if (isRiverbankError(error)) return { code: error.code, message: error.message }
    throw error
  }
}

test(`the body of a request is what its schema says, however it is read, seed ${seed}`, () => {
  const random = seeded(seed)
  const counts = { plain: 0, refused: 0 }
  for (let n = 0; n < 3_000; n += 1) {
    const body: Record<string, unknown> = {}
    for (const [member, values] of Object.entries(choices)) {
      // The first choice is a good one: enough bodies are good as a whole.
      const isLikely = ['features', 'entities'].includes(member)
      if (random.below(isLikely ? 8 : 3) === 0) continue
      body[member] = values[random.below(2) === 0 ? 0 : random.below(values.length)]
    }
    if (random.below(2) === 0) delete body['feature_service']
    const expected = result(() => parseBody(schema, body))
    expect(
      result(() => read(body)),
      JSON.stringify(body),
    ).toEqual(expected)
    if (plainBody(body, limits, catalog) !== null) counts.plain += 1
    if (expected !== null && typeof expected === 'object' && 'code' in expected) counts.refused += 1
  }
  expect(counts.plain).toBeGreaterThan(100)
  expect(counts.refused).toBeGreaterThan(100)
})
