import type { CatalogFeature } from './feature-catalog.ts'

/** The features that a request asks for, and what follows from them alone. */
export interface FeatureSelection {
  readonly features: readonly CatalogFeature[]
  /** One of each entity, and a derived one if there is any: they need what all of them need. */
  readonly perEntity: readonly CatalogFeature[]
  readonly derived: readonly string[]
  /** Names without their views that two of the features share. */
  readonly sharedNames: readonly string[]
  /** The names as elements of a JSON list, each behind a comma: with their views, and without. */
  readonly fullText: string
  readonly shortText: string
}

export function selectionOf(asked: Iterable<CatalogFeature>): FeatureSelection {
  const features = [...new Set(asked)]
  const names = features.map(({ shortName }) => shortName)
  return {
    features,
    perEntity: [...new Map(features.map((feature) => [feature.entity, feature])).values()],
    derived: features.flatMap(({ entity, name }) => (entity === null ? [name] : [])),
    sharedNames: [...new Set(names.filter((name, index) => names.indexOf(name) !== index))],
    fullText: features.map(({ text }) => `,${text}`).join(''),
    shortText: features.map(({ shortText }) => `,${shortText}`).join(''),
  }
}

const keptMax = 8

/**
 * The newest lists of names and their selections: a client asks for the same features again and again, and finding each
 * of them took longer than reading a state.
 */
export class RecentSelections {
  readonly #kept: { readonly names: readonly string[]; readonly selection: FeatureSelection }[] = []

  find(names: readonly string[]): FeatureSelection | null {
    for (const { names: kept, selection } of this.#kept) if (isSame(kept, names)) return selection
    return null
  }

  keep(names: readonly string[], selection: FeatureSelection): void {
    if (this.#kept.length === keptMax) this.#kept.shift()
    this.#kept.push({ names, selection })
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}
