import type { LakeQuery } from '../lake-query.ts'
import { causePositionSql, fieldColumn, ownEntriesSql, type FieldSource } from './recompute.ts'

/**
 * Adds a column `verdict` to `applied`: why a label counts nowhere, recomputed from its owner's rows; null for what
 * counts.
 */
export async function addVerdicts(query: LakeQuery, source: FieldSource): Promise<void> {
  await query.run('ALTER TABLE applied ADD COLUMN verdict VARCHAR')
  const verdicts = source.sql.verdicts({
    entries: `(${ownEntriesSql(source, source.schema.key)})`,
    column: fieldColumn,
  })
  if (verdicts === null) return
  await query.run(`UPDATE applied SET verdict = v.verdict FROM (${verdicts}) AS v
    WHERE v.position = ${causePositionSql('applied')}`)
}
