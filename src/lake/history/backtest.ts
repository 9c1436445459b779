import { z } from 'zod'
import { identifier } from '../../base/sql.ts'
import { decisions, type Decision } from '../../scoring/output-events.ts'
import { OutcomeTally, type CostModel, type OutcomeReport } from '../../scoring/outcome-tally.ts'
import type { PolicyInput, PolicyVerdict } from '../../scoring/policy.ts'
import type { LakeSchema, ScoredColumns } from '../tables/lake-schema.ts'
import { policyInput, policyCellsSql } from '../tables/policy-input.ts'
import { observedWithin, trainingSlice, worthSql } from '../tables/views.ts'

/** What a backtest needs of a query and of a model; see Query and Scorer. */
type Cell = string | number | bigint | boolean | Uint8Array | null
interface Rows {
  each(sql: string, take: (rows: readonly (readonly Cell[])[]) => Promise<void>): Promise<void>
}
interface Model {
  score(vectors: Float32Array, rows: number): Promise<Float32Array>
}

export interface BacktestOptions {
  readonly query: Rows
  readonly schema: LakeSchema
  /** The type that the model scores. */
  readonly scored: ScoredColumns
  readonly model: Model
  /** The model's inputs in their order: indices into `names`. */
  readonly vector: readonly number[]
  /** All values of the model's service, as columns of the lake. */
  readonly names: readonly string[]
  readonly decide: (input: PolicyInput) => PolicyVerdict
  readonly cost: CostModel
  readonly fromMs: number
  readonly toMs: number
  readonly signal: AbortSignal
  readonly onProgress: (done: number) => void
}

export interface Backtest {
  /** The outcome of the decisions made then, on the same events. */
  readonly champion: OutcomeReport
  readonly candidate: OutcomeReport
  /** Events by decision then and decision now, where these differ. */
  readonly changed: readonly {
    readonly then: Decision
    readonly now: Decision
    readonly events: number
    readonly frauds: number
  }[]
  /** How often each rule, list or the model decided. */
  readonly decidedBy: Readonly<Record<string, number>>
  /** Rows that lack a value the model needs: scored under another feature set. Counted nowhere else. */
  readonly incomplete: number
}

/**
 * Runs a candidate over the features as the lake logged them, and compares its decisions with those that were made.
 * Reads only. An event is fraud when the lake has a report of it. Rejects with the signal's reason when stopped.
 */
export async function runBacktest(options: BacktestOptions): Promise<Backtest> {
  const { vector, model, signal } = options
  const ofType = { manifest: options.schema.manifest, scored: options.scored }
  const keyColumns = ownColumns + policyCellsSql(ofType).length
  const champion = new OutcomeTally(options.cost)
  const candidate = new OutcomeTally(options.cost)
  const changed = new Map<string, { then: Decision; now: Decision; events: number; frauds: number }>()
  const decidedBy: Record<string, number> = {}
  let [incomplete, done] = [0, 0]

  await options.query.each(selectRows(options), async (rows) => {
    signal.throwIfAborted()
    const whole = rows.filter((row) => vector.every((index) => row[keyColumns + index] !== null))
    incomplete += rows.length - whole.length
    const vectors = new Float32Array(whole.length * vector.length)
    for (const [r, row] of whole.entries()) {
      for (const [element, index] of vector.entries())
        vectors[r * vector.length + element] = Number(row[keyColumns + index])
    }
    const scores = await model.score(vectors, whole.length)
    for (const [r, row] of whole.entries()) {
      const then = decisionSchema.parse(row[0])
      const [label, worth] = [Number(row[1]), Number(row[2])]
      const values = row.slice(keyColumns).map((cell) => (cell === null ? null : Number(cell)))
      const cells = (column: number) => textOrNumber(row[ownColumns + column])
      const verdict = options.decide(policyInput(ofType, cells, { score: scores[r] ?? NaN, values }))
      const isFraud = label === 1
      champion.add(then, isFraud, worth)
      candidate.add(verdict.decision, isFraud, worth)
      decidedBy[verdict.decidedBy] = (decidedBy[verdict.decidedBy] ?? 0) + 1
      if (verdict.decision === then) continue
      const key = `${then} ${verdict.decision}`
      const move = changed.get(key) ?? { then, now: verdict.decision, events: 0, frauds: 0 }
      changed.set(key, { ...move, events: move.events + 1, frauds: move.frauds + Number(isFraud) })
    }
    done += rows.length
    options.onProgress(done)
  })
  const moves = [...changed.values()].toSorted((a, b) => b.events - a.events)
  return { champion: champion.report(), candidate: candidate.report(), changed: moves, decidedBy, incomplete }
}

const decisionSchema = z.enum(decisions)

function textOrNumber(cell: Cell | undefined): string | number | null {
  return typeof cell === 'string' || typeof cell === 'number' ? cell : null
}

/** Decision, label and worth come first; what the score repeats of its event follows. */
const ownColumns = 3

function selectRows({ schema, scored, names, fromMs, toMs }: BacktestOptions): string {
  const features = names.map((feature) => `${identifier(feature)}::DOUBLE`)
  const columns = [
    'decision',
    'label',
    worthSql(scored),
    ...policyCellsSql({ manifest: schema.manifest, scored }),
    ...features,
  ]
  return `SELECT ${columns.join(', ')} FROM (${trainingSlice(schema, scored, observedWithin(schema, scored, { fromMs, toMs }))})`
}
