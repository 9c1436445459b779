import { featuresOf } from '../../src/engine/expression.ts'
import { featureSetOf, type Recipe } from './definitions.ts'
import { featureNamesOf } from './expressions.ts'
import type { Case } from './fuzz.ts'

interface Found extends Case {
  readonly text: string
}

/**
 * Removes everything without which two interpreters still differ: events, actions after them, views, their aggregates
 * and windows, conditions. `differs` answers the difference, or null.
 */
export async function shrink(found: Found, differs: (smaller: Case) => Promise<string | null>): Promise<Found> {
  let best = found
  for (let size = 0; size !== sizeOf(best);) {
    size = sizeOf(best)
    best = await shrinkEvents(best, differs)
    best = await shrinkBySteps(best, differs)
  }
  return best
}

function sizeOf({ recipe, events }: Case): number {
  return JSON.stringify([recipe, events]).length
}

/** Removes events in ever smaller pieces. */
async function shrinkEvents(found: Found, differs: (smaller: Case) => Promise<string | null>): Promise<Found> {
  let best = found
  for (let size = Math.ceil(best.events.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.events.length;) {
      const events = best.events.filter((_, i) => i < at || i >= at + size)
      const text = await differs({ recipe: best.recipe, events })
      if (text === null) at += size
      else best = { recipe: best.recipe, events, text }
    }
  }
  return best
}

/** Tries one step after the other on the remaining case; each leads to a case with fewer steps or as many. */
async function shrinkBySteps(found: Found, differs: (smaller: Case) => Promise<string | null>): Promise<Found> {
  let best = found
  for (let at = 0; ;) {
    const smaller = [...smallerCases(best)][at]
    if (smaller === undefined) return best
    const text = await differs(smaller)
    if (text === null) at += 1
    else best = { ...smaller, text }
  }
}

/** Every case with one part less. */
function* smallerCases({ recipe, events }: Case): Generator<Case> {
  for (const smaller of smallerRecipes(recipe)) yield { recipe: withoutDangling(smaller), events }
  for (const [at, { stored, asOf, ...event }] of events.entries()) {
    const without = (rest: Pick<Case['events'][number], 'stored' | 'asOf'>) => ({
      recipe,
      events: events.with(at, { ...event, ...rest }),
    })
    if (asOf !== undefined) yield without(stored === undefined ? {} : { stored })
    if (stored !== undefined) yield without(asOf === undefined ? {} : { asOf })
  }
}

/** Removes derived features whose inputs are gone. */
function withoutDangling(recipe: Recipe): Recipe {
  const known = new Set(featureSetOf({ ...recipe, derived: [] }).views.flatMap(featureNamesOf))
  const derived = recipe.derived.filter(({ name, tree }) => {
    const isWhole = featuresOf(tree).every((read) => known.has(read))
    if (isWhole) known.add(name)
    return isWhole
  })
  return { ...recipe, derived }
}

function* smallerRecipes(recipe: Recipe): Generator<Recipe> {
  const { views, large, derived } = recipe
  for (const at of derived.keys()) yield { ...recipe, derived: derived.toSpliced(at, 1) }
  for (const [at, view] of views.entries()) {
    yield { ...recipe, views: views.toSpliced(at, 1) }
    const { aggregates, windows } = view
    const changed = (change: Partial<typeof view>) => ({ ...recipe, views: views.with(at, { ...view, ...change }) })
    for (const part of lists(aggregates)) yield changed({ aggregates: part })
    for (const part of lists(windows)) yield changed({ windows: part })
    if (view.delay !== '0s') yield changed({ delay: '0s' })
  }
  for (const part of large.keys()) yield { ...recipe, large: large.toSpliced(part, 1) }
  if (recipe.tilesMax !== 4_096) yield { ...recipe, tilesMax: 4_096 }
}

/** A view needs one of each. */
function* lists<Item>(items: readonly Item[]): Generator<Item[]> {
  if (items.length > 1) for (const at of items.keys()) yield items.toSpliced(at, 1)
}
