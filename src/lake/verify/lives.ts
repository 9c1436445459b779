import type { FeatureSql } from '../../compile/feature-sql.ts'
import type { EntityManifest, FeatureManifest, FeatureSetManifest } from '../../core/feature-set.ts'
import type { NamedFlags } from '../../core/flags.ts'
import { differingSql, readIdSql, recomputeEntity } from './recompute.ts'
import { identifier, type LakeCell, type LakeQuery } from './lake-query.ts'
import { shown, type Shown, type Tally } from './report.ts'
import { entityIdSql } from './working-tables.ts'

export interface LivesInput {
  readonly query: LakeQuery
  readonly manifest: FeatureSetManifest
  readonly sql: FeatureSql
  /** Nothing is on its way: every gap must have its reason in the lake. */
  readonly settled: boolean
  readonly tallies: { readonly apply: Tally; readonly parity: Tally }
  readonly onProgress: (rows: number) => void
}

/** One event as one entity met it. */
interface Visit {
  readonly id: string
  readonly sequence: number
  readonly born: number
  readonly outcome: string
  readonly cause: string
  /** Null when the event is not in the lake. */
  readonly eventType: string | null
  readonly isScore: boolean
  /** Made by this feature set. */
  readonly isOurs: boolean
  /** Events that name the entity and have no row: known to have a reason, and those that may still get a row. */
  readonly unansweredKnown: number
  readonly unansweredAhead: number
  /** The state must have refused it: older than all that it remembered. */
  readonly isLate: boolean
  /** Features that differ from their recomputation, as JSON; null when none does. */
  readonly differing: string | null
  readonly flags: NamedFlags
}

const noFlags: NamedFlags = {}

interface Difference {
  readonly feature: string
  readonly logged: number | null
  readonly recomputed: number | null
}

/** An entity's life so far. */
interface Life {
  readonly id: string
  readonly born: number
  next: number
  gaps: number
  isGapTold: boolean
  /** An observation is unknown: nothing that follows can be recomputed. */
  isBroken: boolean
}

/**
 * Recomputes every entity with the generated SQL, then walks through its events in the order of their sequence numbers, one life in memory at a time. I1: no
 * number twice, none before its life, none left out without a reason (duplicates take a number and have no row). I3:
 * what each payment read, and each outcome, recomputed and compared bit for bit. Answers how many reads could not be
 * judged yet.
 */
export async function checkLives(input: LivesInput): Promise<number> {
  let unjudged = 0
  for (const entity of input.manifest.entities) {
    const features = input.manifest.features.filter((feature) => feature.entity === entity.name)
    const walk = new LifeWalk(input, entity, features)
    await recomputeEntity(input.query, input.sql, input.manifest, entity, input.onProgress)
    await input.query.each(visitsSql(entity, features), (rows) => {
      for (const row of rows) walk.visit(visitOf(row, input.manifest.hash))
    })
    unjudged += walk.unjudged
  }
  return unjudged
}

function visitsSql(entity: EntityManifest, features: readonly FeatureManifest[]): string {
  const column = (part: string) => `a.${identifier(`${entity.name}_${part}`)}`
  const key = entityIdSql(entity)
  // Without a column to look at, every gap has its reason.
  const unanswered =
    key === null
      ? `SELECT NULL::VARCHAR AS id, 0 AS known, 0 AS ahead WHERE false`
      : `SELECT ${key} AS id, count(*) FILTER (answered_elsewhere OR NOT ahead) AS known,
           count(*) FILTER (ahead AND NOT answered_elsewhere) AS ahead
         FROM unanswered WHERE ${key} IS NOT NULL GROUP BY 1`
  const missing = key === null ? 'CAST(9007199254740991 AS BIGINT)' : '0'
  const columns = [
    ...[column('id'), column('sequence'), column('born'), column('outcome'), 'a.cause_id'],
    ...['a.event_type', 'a.is_score', 'a.feature_set'],
    ...[`coalesce(u.known, ${missing})`, 'coalesce(u.ahead, 0)', 'a.cause_valid'],
    ...['l.sequence IS NOT NULL', differingSql(features), 's.flags'],
  ]
  return `SELECT ${columns.join(', ')} FROM applied a
    LEFT JOIN score_rows s ON s.log_partition = a.log_partition AND s.log_offset = a.log_offset
    LEFT JOIN recomputed n ON n.read_id = ${readIdSql}
    LEFT JOIN late l ON l.id = ${column('id')} AND l.born = ${column('born')} AND l.sequence = ${column('sequence')}
    LEFT JOIN (${unanswered}) u ON u.id = ${column('id')}
    WHERE ${column('sequence')} IS NOT NULL
    ORDER BY ${column('id')}, ${column('sequence')}, a.source_partition, a.source_offset`
}

function visitOf(row: readonly LakeCell[], hash: string): Visit {
  const [
    id,
    sequence,
    born,
    outcome,
    cause,
    eventType,
    isScore,
    featureSet,
    known,
    ahead,
    valid,
    late,
    differing,
    flags,
  ] = row
  return {
    id: String(id),
    sequence: Number(sequence),
    born: Number(born),
    outcome: String(outcome),
    cause: String(cause),
    eventType: valid === true ? String(eventType) : null,
    isScore: isScore === true,
    isOurs: featureSet === hash,
    unansweredKnown: Number(known),
    unansweredAhead: Number(ahead),
    isLate: late === true,
    differing: typeof differing === 'string' ? differing : null,
    flags: typeof flags === 'string' ? (JSON.parse(flags) as NamedFlags) : noFlags,
  }
}

class LifeWalk {
  unjudged = 0
  private readonly input: LivesInput
  private readonly entity: EntityManifest
  private readonly features: readonly FeatureManifest[]
  private life: Life | null = null

  constructor(input: LivesInput, entity: EntityManifest, features: readonly FeatureManifest[]) {
    this.input = input
    this.entity = entity
    this.features = features
  }

  visit(visit: Visit): void {
    const life = this.lifeOf(visit)
    const isJudged = this.follow(life, visit)
    if (visit.eventType === null) {
      life.isBroken = true
      return
    }
    if (visit.isScore && visit.isOurs) {
      if (isJudged) this.compare(visit)
      else this.unjudged += 1
    }
    const outcome = visit.isLate ? 'too_late' : 'applied'
    if (isJudged && visit.isOurs && outcome !== visit.outcome) this.mismatch(visit, 'outcome', visit.outcome, outcome)
  }

  private lifeOf(visit: Visit): Life {
    const { entity, input } = this
    const before = this.life
    if (before !== null && before.id === visit.id && before.born === visit.born) return before
    const { apply } = input.tallies
    if (before?.id !== visit.id) apply.count(`${entity.name}s`)
    else if (visit.born < before.next) {
      apply.violation('lives_overlap', () => ({ ...this.place(visit), born: visit.born, earlier: before.born }))
    }
    const { id, born } = visit
    this.life = { id, born, next: born, gaps: 0, isGapTold: false, isBroken: false }
    return this.life
  }

  /** Checks the visit's number against the life so far. Answers whether all before it is known. */
  private follow(life: Life, visit: Visit): boolean {
    const { apply } = this.input.tallies
    const { sequence } = visit
    apply.count('sequence numbers')
    if (sequence < life.born) {
      apply.violation('sequence_before_birth', () => ({ ...this.place(visit), born: life.born }))
    } else if (sequence < life.next) {
      apply.violation('sequence_twice', () => this.place(visit))
    } else {
      life.gaps += sequence - life.next
      life.next = sequence + 1
    }
    if (life.isBroken) return false
    if (life.gaps === 0) return true
    // Only other partitions can owe an entity something that came before: those of its own arrive in order.
    const owed = this.entity.partitionKey ? 0 : visit.unansweredAhead
    if (life.gaps <= visit.unansweredKnown && owed === 0) return true
    if (!this.input.settled) return false
    if (!life.isGapTold) {
      life.isGapTold = true
      const { gaps } = life
      apply.violation('sequence_gap', () => ({ ...this.place(visit), gaps, explained: visit.unansweredKnown }))
    }
    return true
  }

  private compare(visit: Visit): void {
    const { parity } = this.input.tallies
    // The state had not been told everything yet, and the event says so. What is truncated or saturated can be recomputed.
    const incomplete = this.features.filter(({ name }) => visit.flags[name] === 'incomplete').length
    parity.count('values', this.features.length - incomplete)
    if (incomplete > 0) parity.count('incomplete values', incomplete)
    if (visit.differing === null) return
    for (const { feature, logged, recomputed } of JSON.parse(visit.differing) as readonly Difference[]) {
      if (visit.flags[feature] === 'incomplete') continue
      this.mismatch(visit, feature, shown(logged), shown(recomputed))
    }
  }

  private mismatch(visit: Visit, feature: string, logged: Shown, recomputed: Shown): void {
    const definition = this.features.find(({ name }) => name === feature)?.definition
    this.input.tallies.parity.mismatch(feature, () => ({
      ...this.place(visit),
      feature,
      logged,
      recomputed,
      ...(definition === undefined ? {} : { definition: JSON.stringify(definition) }),
    }))
  }

  private place({ id, sequence, cause }: Visit) {
    return { entity: this.entity.name, id, sequence, cause }
  }
}
