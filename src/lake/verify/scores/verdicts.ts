import { identifier, literal } from '../../../base/sql.ts'
import type { Decider } from '../../../scoring/policy.ts'
import { createReasonWriter } from '../../../scoring/explain/reason.ts'
import type { Scorer } from '../../../ports/scorer.ts'
import { scoredOfType, type ScoredColumns } from '../../tables/lake-schema.ts'
import { policyInput, policyCellsSql } from '../../tables/policy-input.ts'
import { countOf, numbersIn, textsIn, type LakeRow } from '../lake-query.ts'
import { eachVector, scoredBySql, wholeSql, type RowsInput } from './score-rows.ts'

export interface PolicyOfModel {
  readonly name: string
  readonly version: string
  readonly policy: string
}

/** A loaded policy, and the values that it reads, in their order. */
export interface LoadedPolicy {
  readonly decide: Decider['decide']
  readonly names: readonly string[]
}

/** Recomputes what policies decided, and by which part, from the logged score, amount, ids and features. */
export async function checkPolicies(
  input: RowsInput,
  load: (policy: PolicyOfModel) => Promise<LoadedPolicy | null>,
  rows: string,
): Promise<void> {
  const { query, tally } = input
  const found = await query.rows(
    `SELECT model_name, model_version, policy_version, service, count(*) AS total FROM (${rows})
     WHERE policy_version IS NOT NULL GROUP BY ALL ORDER BY ALL`,
  )
  for (const row of found) {
    const [name, version, policy] = [
      textOf(row, 'model_name'),
      textOf(row, 'model_version'),
      textOf(row, 'policy_version'),
    ]
    const service = input.schema.manifest.services.find((one) => one.name === row['service'])
    const loaded = service === undefined ? null : await load({ name, version, policy })
    const total = countOf(row, 'total')
    tally.count(`decisions of policies ${loaded === null ? 'not ' : ''}recomputed`, total)
    if (loaded === null || service === undefined) continue
    const ofModel = `${scoredBySql({ name, version })} AND service = ${literal(service.name)}`
    const from = `FROM (${rows}) WHERE ${ofModel} AND policy_version = ${literal(policy)}`
    const scored = scoredOfType(input.schema, service.eventType)
    await checkPolicy(input, { ...loaded, scored }, from, `policy ${name}/${version}@${policy}`)
  }
}

const textOf = (row: LakeRow, column: string) => String(row[column])

async function checkPolicy(
  input: RowsInput,
  { decide, names, scored }: LoadedPolicy & { readonly scored: ScoredColumns },
  from: string,
  definition: string,
): Promise<void> {
  const present = (column: string) => `coalesce(${column}::DOUBLE, 'NaN'::DOUBLE)`
  // No value is NaN: NaN marks a missing one.
  const values = names.map((name) => present(identifier(name)))
  const ofType = { manifest: input.schema.manifest, scored }
  const repeated = policyCellsSql(ofType)
  const others = ['decision', 'decided_by', present('score'), ...repeated]
  await eachVector(input, { from, features: [] }, [...others, ...values], { name: 'decision', definition }, (chunk) => {
    const [decisions, deciders] = chunk.others.slice(0, 2).map(textsIn)
    const scores = numbersIn(chunk.others[2])
    const ofEvent = chunk.others.slice(3, 3 + repeated.length)
    const columns = chunk.others.slice(3 + repeated.length).map(numbersIn)
    for (let row = 0; row < chunk.rows; row += 1) {
      const values = columns.map((column) => numberOrNull(column[row]))
      const cells = (column: number) => ofEvent[column]?.[row] ?? null
      const verdict = decide(policyInput(ofType, cells, { score: scores[row] ?? NaN, values }))
      const [logged, recomputed] = [
        `${decisions?.[row]} by ${deciders?.[row]}`,
        `${verdict.decision} by ${verdict.decidedBy}`,
      ]
      if (logged !== recomputed) chunk.wrong(row, logged, recomputed)
    }
  })
}

function numberOrNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value
}

/**
 * Checks, to the letter, the reasons of what was not approved, or why its model gives none; approved rows have neither.
 * Rows written before that column need no reason.
 */
export async function checkReasons(input: RowsInput, scorer: Scorer, rows: string): Promise<void> {
  const service = input.schema.manifest.services.find(({ name }) => name === scorer.service)
  if (service === undefined) return
  const { features } = service
  const explainer = scorer.explanations?.kind === 'available' ? scorer.explanations.explainer : null
  const write = createReasonWriter(features, input.schema.manifest.features)
  const from = `FROM (${rows}) WHERE ${scoredBySql(scorer)} AND service = ${literal(service.name)}
    AND (decision <> 'approve' OR reasons IS NOT NULL OR reasons_unavailable IS NOT NULL) AND ${wholeSql(features)}`
  const code = scorer.explanations?.kind === 'unavailable' ? scorer.explanations.code : null
  const definition = `the model's contributions, in the words of the feature set`
  const what = { name: 'reasons', definition }
  await eachVector(input, { from, features }, ['decision', 'reasons', 'reasons_unavailable'], what, (chunk) => {
    const [decisions, logged, unavailable] = chunk.others.map(textsIn)
    const width = features.length
    for (let row = 0; row < chunk.rows; row += 1) {
      const found = logged?.[row] ?? null
      let recomputed: string | null = null
      if (explainer !== null && decisions?.[row] !== 'approve') {
        const contributions = explainer.contributions(chunk.vectors.subarray(row * width, (row + 1) * width))
        const values = chunk.inputs.map((column) => column[row] ?? NaN)
        recomputed = JSON.stringify(write({ contributions, values, stats: explainer.stats }))
        input.tally.count('reasons recomputed')
      }
      const why = unavailable?.[row] ?? null
      if (found !== recomputed) chunk.wrong(row, found, recomputed)
      else if (why !== null && (decisions?.[row] === 'approve' || why !== code)) chunk.wrong(row, why, code)
    }
  })
}
