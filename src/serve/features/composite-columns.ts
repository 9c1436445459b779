import { idSeparator, joinIdParts } from '../../engine/entity-id.ts'
import type { CatalogEntity, CatalogFeature, FeatureCatalog } from './feature-catalog.ts'

/** The ids of one entity in a request, one per row. */
export interface EntityColumn {
  /** The request's word for the entity: its name or its key field. */
  readonly label: string
  readonly entity: CatalogEntity
  readonly ids: readonly string[]
  /** The ids as the request has them: a number stays a number in the answer. */
  readonly asked: readonly (string | number)[]
}

type Features = readonly Pick<CatalogFeature, 'entity'>[]

/**
 * Columns for the composite entities that the request does not name and whose parts it gives, row by row. Only if a
 * requested feature may read them: one of the entity, or a derived one, whose inputs the catalog does not know.
 */
export function composedColumns(
  catalog: FeatureCatalog,
  columns: readonly EntityColumn[],
  features: Features,
): EntityColumn[] {
  return catalog.composites.flatMap((entity) => {
    const isWanted = features.some((feature) => feature.entity === null || feature.entity === entity.name)
    if (!isWanted || columns.some((column) => column.entity === entity)) return []
    const parts = entity.keyFields.flatMap((field) => columnOf(columns, field) ?? [])
    if (parts.length < entity.keyFields.length) return []
    const ids = (parts[0]?.ids ?? []).map((_, row) => joinIdParts(parts.map((part) => part.ids[row] ?? '')))
    return [{ label: entity.name, entity, ids, asked: ids }]
  })
}

/** Names the entities that the features need and the request lacks, and how to give them; null when none is missing. */
export function missingEntities(
  catalog: FeatureCatalog,
  columns: readonly EntityColumn[],
  features: Features,
): { readonly names: readonly string[]; readonly detail: string } | null {
  const isGiven = (name: string) => columns.some(({ entity }) => entity.name === name)
  const missing = new Set<string>()
  for (const { entity } of features) if (entity !== null && !isGiven(entity)) missing.add(entity)
  if (missing.size === 0) return null
  const names = new Set<string>()
  const hints: string[] = []
  for (const name of missing) {
    const keyFields = catalog.entities.get(name)?.keyFields ?? []
    if (keyFields.length < 2) {
      names.add(name)
      continue
    }
    const absent = keyFields.filter((field) => columnOf(columns, field) === undefined)
    for (const field of absent) names.add(catalog.entitiesByAlias.get(field)?.name ?? name)
    hints.push(
      `; a ${name} is made of ${keyFields.join(' and ')}, ${absent.join(' and ')} missing, ` +
        `or named itself by ids ${keyFields.join(idSeparator)}`,
    )
  }
  return { names: [...names], detail: `the features are about these entities too${hints.join('')}` }
}

function columnOf(columns: readonly EntityColumn[], field: string): EntityColumn | undefined {
  return columns.find(({ entity }) => entity.keyFields.length === 1 && entity.keyFields[0] === field)
}
