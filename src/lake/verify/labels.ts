import type { FeatureSql } from '../../compile/feature-sql.ts'
import type { FeatureSetManifest } from '../../engine/feature-set.ts'
import type { LakeQuery } from './lake-query.ts'
import { causePositionSql, fieldColumn, ownEntriesSql } from './recompute.ts'
import { partitionEntity } from './working-tables.ts'

/**
 * Gives `applied` a column `verdict`: why a label counts nowhere, recomputed from the rows of its owner; null for
 * everything that counts.
 */
export async function addVerdicts(query: LakeQuery, manifest: FeatureSetManifest, sql: FeatureSql): Promise<void> {
  await query.run('ALTER TABLE applied ADD COLUMN verdict VARCHAR')
  const owner = partitionEntity(manifest)
  const verdicts = sql.verdicts({ entries: `(${ownEntriesSql(sql, owner)})`, column: fieldColumn })
  if (verdicts === null) return
  await query.run(`UPDATE applied SET verdict = v.verdict FROM (${verdicts}) AS v
    WHERE v.position = ${causePositionSql('applied')}`)
}
