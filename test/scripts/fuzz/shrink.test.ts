import { describe, expect, it } from 'vitest'
import { featureSetOf, randomRecipe, recipeSchema, seeded } from '../../../scripts/fuzz/definitions.ts'
import { caseFromJson, caseToJson, type Case } from '../../../scripts/fuzz/fuzz.ts'
import { shrink } from '../../../scripts/fuzz/shrink.ts'
import { randomStream } from '../../../scripts/fuzz/stream.ts'
import { testSeed as seed } from '../../support/seed.ts'

describe(`a case, seed ${seed}`, () => {
  it('survives JSON, and its recipe names all there is to know about its definitions', () => {
    for (let n = seed; n < seed + 50; n += 1) {
      const recipe = randomRecipe(seeded(n))
      const { recipe: kept } = caseFromJson(caseToJson({ recipe, events: [] })) as Case
      const read = recipeSchema.parse(kept)
      expect(read).toEqual(recipe)
      expect(JSON.stringify(featureSetOf(read))).toBe(JSON.stringify(featureSetOf(recipe)))
    }
  })

  it('says which aggregate there is none of', () => {
    const recipe = randomRecipe(seeded(seed))
    const views = recipe.views.map((view) => ({ ...view, aggregates: ['amount_mode'] }))
    expect(() => featureSetOf({ ...recipe, views })).toThrow(
      'a recipe names the aggregate amount_mode, and there is none',
    )
  })

  it('is shrunk to what the difference needs', async () => {
    const recipe = randomRecipe(seeded(seed))
    const [view] = recipe.views
    const first = randomStream(seeded(seed))
    const at = first.length >> 1
    const asOf = { customerId: 'c0', terminalId: 't0', timeMs: 0 }
    const events = first.map((event, i) => (i === at ? { ...event, eventId: 'wanted', stored: true, asOf } : event))
    const [aggregate] = view?.aggregates ?? []
    const wanted = 'wanted'
    const differs = async ({ recipe: { views }, events: rest }: Case) => {
      const isThere = views.some(({ name, aggregates }) => name === view?.name && aggregates.includes(aggregate ?? ''))
      return isThere && rest.some(({ eventId }) => eventId === wanted) ? 'differs' : null
    }
    const smallest = await shrink({ recipe, events, text: '' }, differs)
    expect(smallest.text).toBe('differs')
    expect(smallest.events.map(({ eventId, stored, asOf }) => [eventId, stored, asOf])).toEqual([
      [wanted, undefined, undefined],
    ])
    expect(smallest.recipe).toMatchObject({ tilesMax: 4_096, large: [] })
    expect(smallest.recipe.views).toHaveLength(1)
    expect(smallest.recipe.views[0]).toMatchObject({ name: view?.name, aggregates: [aggregate], delay: '0s' })
    expect(smallest.recipe.views[0]?.windows).toHaveLength(1)
    expect(() => featureSetOf(smallest.recipe)).not.toThrow()
  })
})
