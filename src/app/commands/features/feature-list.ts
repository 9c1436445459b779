import type { FeatureManifest, FeatureSetManifest } from '../../../engine/feature-set.ts'

/** Each narrows the list further. */
export interface FeatureFilter {
  readonly entity?: string
  readonly view?: string
  readonly service?: string
}

export type FeatureRow = Pick<FeatureManifest, 'name' | 'entity' | 'view' | 'type' | 'nullable' | 'description'>

export type FeatureList =
  | { readonly kind: 'features'; readonly rows: readonly FeatureRow[] }
  | { readonly kind: 'unknown'; readonly reason: string }

/** Lists features in the order of definition, those of a service in the order of its vector. */
export function listFeatures(manifest: FeatureSetManifest, filter: FeatureFilter): FeatureList {
  const views = manifest.features.flatMap(({ view }) => (view === null ? [] : [view]))
  const reason =
    unknownName('entity', filter.entity, names(manifest.entities)) ??
    unknownName('view', filter.view, [...new Set(views)]) ??
    unknownName('service', filter.service, names(manifest.services))
  if (reason !== null) return { kind: 'unknown', reason }
  const rows = chosen(manifest, filter.service)
    .filter(({ entity }) => filter.entity === undefined || entity === filter.entity)
    .filter(({ view }) => filter.view === undefined || view === filter.view)
    .map(({ name, entity, view, type, nullable, description }) => ({ name, entity, view, type, nullable, description }))
  return { kind: 'features', rows }
}

function chosen({ features, services }: FeatureSetManifest, service: string | undefined): readonly FeatureManifest[] {
  if (service === undefined) return features
  const known = new Map(features.map((feature) => [feature.name, feature]))
  const vector = services.find(({ name }) => name === service)?.features ?? []
  return vector.flatMap((name) => known.get(name) ?? [])
}

function names(items: readonly { readonly name: string }[]): readonly string[] {
  return items.map(({ name }) => name)
}

function unknownName(what: string, name: string | undefined, known: readonly string[]): string | null {
  if (name === undefined || known.includes(name)) return null
  return `there is no ${what} "${name}"; there are: ${known.join(', ')}`
}
