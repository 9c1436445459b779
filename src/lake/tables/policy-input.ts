import { identifier } from '../../base/sql.ts'
import type { PolicyInput } from '../../scoring/policy.ts'
import { valueOf } from './field-kind.ts'
import type { LakeSchema, ScoredColumns } from './lake-schema.ts'

interface PolicySchema extends Pick<LakeSchema, 'manifest'> {
  readonly scored: ScoredColumns
}

/**
 * What a policy reads of a row beside score and features: what the score repeats of its event, and the ids of the
 * entities.
 */
export function policyCellsSql({ scored, manifest }: PolicySchema): string[] {
  const repeated = scored.repeats.map(({ name, type }) => {
    // No value is NaN: NaN marks a missing one.
    return type === 'VARCHAR' ? identifier(name) : `coalesce(${identifier(name)}::DOUBLE, 'NaN'::DOUBLE)`
  })
  return [...repeated, ...manifest.entities.map(({ name }) => identifier(`${name}_id`))]
}

/** Names the cells of {@link policyCellsSql} as the event names its fields. */
export function policyInput(
  { scored, manifest }: PolicySchema,
  cells: (column: number) => string | number | null,
  rest: Pick<PolicyInput, 'score' | 'values'>,
): PolicyInput {
  const data: Record<string, unknown> = {}
  for (const [i, { field, kind }] of scored.repeats.entries()) {
    const cell = cells(i)
    data[field] = Number.isNaN(cell) ? undefined : valueOf(kind, cell)
  }
  const entityIds: Record<string, string | null> = {}
  for (const [i, { name }] of manifest.entities.entries()) {
    const id = cells(scored.repeats.length + i)
    entityIds[name] = typeof id === 'string' ? id : null
  }
  return { entityIds, data, score: rest.score, values: rest.values }
}
