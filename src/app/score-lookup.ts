import { paymentScoredSchema, type PaymentScored } from '../core/emitted.ts'
import type { FeatureSetManifest } from '../core/feature-set.ts'
import type { SqlResult, SqlRunner } from '../ports.ts'
import type { ScoreLookup } from '../serve/dependencies.ts'

/** Finds a payment's score in the lake: for what is older than the serve process remembers. */
export function lakeScoreLookup(sql: Pick<SqlRunner, 'run'>, manifest: FeatureSetManifest): ScoreLookup {
  return {
    async findScore(paymentId) {
      const quoted = paymentId.replaceAll("'", "''")
      const result = await sql.run(`SELECT * FROM scores WHERE payment_id = '${quoted}' ORDER BY log_offset LIMIT 1`)
      return scoreOf(result, manifest)
    },
  }
}

/** A row of the scores table as the event it came from; null when there is none. */
function scoreOf({ columns, rows }: SqlResult, manifest: FeatureSetManifest): PaymentScored | null {
  const [first] = rows
  if (first === undefined) return null
  const row = new Map(columns.map(({ name }, i): [string, unknown] => [name, first[i] ?? null]))
  // A row of an older feature set knows nothing of entities that came later.
  const known = manifest.entities.filter(({ name }) => (row.get(`${name}_sequence`) ?? null) !== null)
  const entities = known.map(({ name }): [string, unknown] => [
    name,
    {
      id: row.get(`${name}_id`),
      sequence: Number(row.get(`${name}_sequence`)),
      born: Number(row.get(`${name}_born`)),
      outcome: row.get(`${name}_outcome`),
    },
  ])
  const [flags, shadows, reasons] = [row.get('flags'), row.get('shadows'), row.get('reasons')]
  const unavailable = row.get('reasons_unavailable')
  const [version, decidedBy] = [row.get('policy_version'), row.get('decided_by')]
  return paymentScoredSchema.parse({
    paymentId: row.get('payment_id'),
    customerId: row.get('customer_id'),
    terminalId: row.get('terminal_id'),
    amountMinor: Number(row.get('amount_minor')),
    currency: row.get('currency'),
    paymentTimeMs: Number(row.get('payment_time_ms')),
    score: row.get('score'),
    decision: row.get('decision'),
    model: { name: row.get('model_name'), version: row.get('model_version') },
    service: row.get('service'),
    featureSet: row.get('feature_set'),
    features: Object.fromEntries(manifest.features.map(({ name }) => [name, row.get(name) ?? null])),
    ...(typeof flags === 'string' ? { flags: JSON.parse(flags) as unknown } : {}),
    ...(typeof shadows === 'string' ? { shadows: JSON.parse(shadows) as unknown } : {}),
    ...(typeof version === 'string' ? { policy: { version, decidedBy } } : {}),
    ...(typeof unavailable === 'string' ? { reasonsUnavailable: unavailable } : {}),
    ...(typeof reasons === 'string' ? { reasons: JSON.parse(reasons) as unknown } : {}),
    entities: Object.fromEntries(entities),
    position: {
      topic: row.get('source_topic'),
      partition: Number(row.get('source_partition')),
      offset: Number(row.get('source_offset')),
    },
  })
}
