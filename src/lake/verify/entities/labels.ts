import type { LakeQuery } from '../lake-query.ts'
import { causePositionSql, fieldColumn, ownEntriesSql, type FieldSource } from './recompute.ts'

/**
 * Gives `applied` a column `verdict`: why a label counts nowhere, recomputed from the rows of its owner; null for
 * everything that counts.
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
