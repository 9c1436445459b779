import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { aggregatesOf } from '../../scripts/fuzz/aggregates.ts'
import { randomRecipe, recipeSchema, seeded } from '../../scripts/fuzz/definitions.ts'
import { caseFromJson, fuzzDefinition, replay, streamsPerDefinition, type Difference } from '../../scripts/fuzz/fuzz.ts'
import { noTotals } from '../../scripts/fuzz/run-case.ts'
import { aggregateRules } from '../../src/engine/aggregate.ts'
import type { EntityBinding, FeaturePlan } from '../../src/engine/plan.ts'
import { openQuery, type Query } from '../../src/edges/duckdb/query.ts'
import { testSeed as firstSeed } from '../support/seed.ts'

const cases = 2_000
const regressions = new URL('regressions/', import.meta.url)

test('the random cases draw from every kind of aggregate that a definition can have', () => {
  const { ofPayments, ofRefunds, ofFlags, runs } = aggregatesOf(randomRecipe(seeded(firstSeed)))
  const drawn = [...ofPayments, ...ofRefunds, ...ofFlags, ...Object.values(runs)].map(({ kind }) => kind)
  expect(new Set(drawn)).toEqual(new Set(Object.keys(aggregateRules)))
})

describe('I3: the engine, the generated SQL and the reference evaluator', () => {
  const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-parity-'))
  let query: Query
  beforeAll(async () => {
    query = await openQuery({ threads: 2, memoryMb: 512, tempDir, tempMb: 1_024, setup: [] })
  })
  afterAll(() => {
    query.close()
    rmSync(tempDir, { recursive: true, force: true })
  })

  it.each(readdirSync(regressions).filter((name) => name.endsWith('.json')))(
    'agree where they once did not: %s',
    async (name) => {
      const found = caseFromJson(readFileSync(new URL(name, regressions), 'utf8')) as Difference
      expect(await replay({ ...found, recipe: recipeSchema.parse(found.recipe) }, query)).toBeNull()
    },
  )

  it(
    `agree bit for bit at every read, seeds ${firstSeed} to ${firstSeed + cases - 1}`,
    { timeout: 600_000 },
    async () => {
      const totals = noTotals()
      for (let done = 0; done < cases; done += streamsPerDefinition) {
        const found = await fuzzDefinition(firstSeed + done, query, totals)
        expect(found, `TEST_SEED=${firstSeed + done}: ${found?.text}`).toBeNull()
      }
      // A generator that makes nothing interesting proves nothing.
      expect(totals.reads).toBeGreaterThan(cases * 20)
      expect(totals.present).toBeGreaterThan(totals.reads / 10)
      expect(totals.derived).toBeGreaterThan(cases * 20)
      expect(totals.undefinedAnswers).toBeGreaterThan(totals.derived / 20)
      expect(totals.uncounted).toBeGreaterThan(cases / 10)
      expect(totals.unnamed).toBeGreaterThan(cases)
      for (const count of [totals.late, totals.duplicates, totals.forgotten, totals.replaced])
        expect(count).toBeGreaterThan(cases / 4)
    },
  )

  it(
    'are told apart where the engine takes events of two scored types with one id for one',
    { timeout: 300_000 },
    async () => {
      const nothing = { high: 0, low: 0 }
      const untyped = (binding: EntityBinding | null): EntityBinding | null => {
        if (binding === null) return null
        const { subject, label } = binding
        return {
          ...binding,
          subject: subject === null ? null : { ...subject, type: nothing },
          label: label === null ? null : { ...label, type: nothing },
        }
      }
      const plant = (plan: FeaturePlan): FeaturePlan => ({
        ...plan,
        events: new Map(
          [...plan.events].map(([type, event]) => [type, { type, bindings: event.bindings.map(untyped) }]),
        ),
      })
      let found: Difference | null = null
      for (let done = 0; done < cases && found === null; done += streamsPerDefinition) {
        found = await fuzzDefinition(firstSeed + done, query, noTotals(), plant)
      }
      expect(found?.text).toMatch(/the reference says|SQL says/)
    },
  )
})
