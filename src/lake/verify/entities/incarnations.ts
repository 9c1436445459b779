import { z } from 'zod'
import { pluralOf } from '../../../base/plural.ts'
import { identifier, literal } from '../../../base/sql.ts'
import type { FeatureSql } from '../../../compile/sql/feature-sql.ts'
import type { EntityManifest, FeatureManifest } from '../../../engine/feature-set.ts'
import { createIncomplete, readIdSql, recomputeEntity } from './recompute.ts'
import { countOf, type SqlValue, type LakeQuery } from '../lake-query.ts'
import { shown, type Shown, type Tally } from '../report.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { entityIdSql } from '../working-tables.ts'

export interface IncarnationsInput {
  readonly query: LakeQuery
  readonly schema: LakeSchema
  readonly sql: FeatureSql
  /** Nothing is under way: every gap must have its reason in the lake. */
  readonly settled: boolean
  readonly tallies: { readonly apply: Tally; readonly parity: Tally }
  readonly onProgress: (rows: number) => void
}

/** One event at one entity. */
interface Visit {
  readonly id: string
  readonly sequence: number
  readonly incarnation: number
  readonly outcome: string
  readonly cause: string
  /** Null when the event is not in the lake. */
  readonly eventType: string | null
  readonly isScore: boolean
  /** Made by this feature set. */
  readonly isOurs: boolean
  /** Events that name the entity and have no row: those with a known reason, and those that may still get a row. */
  readonly unansweredKnown: number
  readonly unansweredAhead: number
  /** The outcome that the entity must have logged. */
  readonly impliedOutcome: string
  /** Features that differ from their recomputation, as JSON; null when none does. */
  readonly differing: string | null
  /** By feature. */
  readonly flags: Readonly<Record<string, string>>
}

const noFlags: Visit['flags'] = {}

const flagsSchema = z.record(z.string(), z.string())
/** What {@link recomputeEntity} makes the database write. In its JSON a non-finite number is a text. */
const value = z.union([z.number(), z.string()]).nullable()
const differencesSchema = z.array(z.object({ feature: z.string(), logged: value, recomputed: value }))

/** An entity's incarnation so far. */
interface WalkedIncarnation {
  readonly id: string
  readonly incarnation: number
  next: number
  gaps: number
  isGapReported: boolean
  /** An observation is unknown: nothing that follows can be recomputed. */
  isBroken: boolean
}

/**
 * Recomputes every entity with the generated SQL. I1: no sequence number twice, none before its incarnation, no gap
 * without a reason (duplicates take a number and have no row). I3: compares what each scored event read, and each
 * outcome, bit for bit. Where an entity's numbers follow one another and nothing differs, SQL has judged all; this
 * walks the events of all other entities in the order of their numbers, one incarnation in memory at a time. Answers
 * how many reads could not be judged yet.
 */
export async function checkIncarnations(input: IncarnationsInput): Promise<number> {
  const { query, schema, sql, onProgress } = input
  const { manifest } = schema
  let unjudged = 0
  await createIncomplete(query)
  for (const entity of manifest.entities) {
    const features = manifest.features.filter((feature) => feature.entity === entity.name)
    await recomputeEntity({ query, schema, sql, entity, features, onProgress })
    await query.run(`CREATE OR REPLACE TEMP TABLE suspects AS ${suspectsSql(entity)}`)
    await countOthers(input, entity, features)
    const walk = new IncarnationWalk(input, entity, features)
    await query.each(visitsSql(schema, entity), (rows) => {
      for (const row of rows) walk.visit(visitOf(row))
    })
    unjudged += walk.unjudged
  }
  return unjudged
}

/** Ids of entities with a gap, a number twice, several incarnations, an unknown event, or any difference. */
function suspectsSql(entity: EntityManifest): string {
  const [id, sequence, incarnation, outcome] = columnsOf(entity)
  return `SELECT id FROM disordered UNION
    SELECT ${id} FROM applied a
    LEFT JOIN late l ON l.id = ${id} AND l.incarnation = ${incarnation} AND l.sequence = ${sequence}
    LEFT JOIN differing d ON a.is_score AND d.read_id = ${readIdSql}
    WHERE ${sequence} IS NOT NULL AND (NOT coalesce(a.cause_valid, false) OR d.read_id IS NOT NULL
      OR (a.is_ours AND ${outcome} IS DISTINCT FROM ${impliedOutcomeSql}))`
}

/** Only counts the entities that are in order. */
async function countOthers(
  { query, tallies }: IncarnationsInput,
  entity: EntityManifest,
  features: readonly FeatureManifest[],
): Promise<void> {
  const [id, sequence] = columnsOf(entity)
  const names = features.map(({ name }) => literal(name)).join(', ')
  const [counts] = await query.rows(`SELECT count(DISTINCT ${id}) AS ids, count(*) AS numbers,
      count(*) FILTER (a.is_score AND a.is_ours) AS reads,
      coalesce(sum(len(list_filter(i.names, x -> list_contains([${names}], x))))
        FILTER (a.is_score AND a.is_ours), 0)::BIGINT AS incomplete
    FROM applied a ANTI JOIN suspects x ON x.id = ${id} LEFT JOIN incomplete i ON i.read_id = ${readIdSql}
    WHERE ${sequence} IS NOT NULL`)
  const incomplete = countOf(counts, 'incomplete')
  if (countOf(counts, 'ids') > 0) tallies.apply.count(pluralOf(entity.name), countOf(counts, 'ids'))
  tallies.apply.count('sequence numbers', countOf(counts, 'numbers'))
  tallies.parity.count('values', countOf(counts, 'reads') * features.length - incomplete)
  if (incomplete > 0) tallies.parity.count('incomplete values', incomplete)
}

/** The outcome implied by a row of `applied a` and by `late l`, what the state must have refused. */
const impliedOutcomeSql = `coalesce(a.verdict, CASE WHEN l.sequence IS NULL THEN 'applied' ELSE 'too_late' END)`

function columnsOf({ name }: EntityManifest) {
  const column = (part: string) => `a.${identifier(`${name}_${part}`)}`
  return [column('id'), column('sequence'), column('incarnation'), column('outcome')] as const
}

function visitsSql(schema: LakeSchema, entity: EntityManifest): string {
  const [id, sequence, incarnation, outcome] = columnsOf(entity)
  const key = entityIdSql(schema, entity)
  // Without columns for the id, every gap counts as explained.
  const unanswered =
    key === null
      ? `SELECT NULL::VARCHAR AS id, 0 AS known, 0 AS ahead WHERE false`
      : `SELECT ${key} AS id, count(*) FILTER (answered_elsewhere OR NOT ahead) AS known,
           count(*) FILTER (ahead AND NOT answered_elsewhere) AS ahead
         FROM unanswered WHERE ${key} IS NOT NULL GROUP BY 1`
  const missing = key === null ? 'CAST(9007199254740991 AS BIGINT)' : '0'
  const columns = [
    ...[id, sequence, incarnation, outcome, 'a.cause_id'],
    ...['a.event_type', 'a.is_score', 'a.is_ours'],
    ...[`coalesce(u.known, ${missing})`, 'coalesce(u.ahead, 0)', 'a.cause_valid'],
    ...[impliedOutcomeSql, 'd.differing', 's.flags'],
  ]
  return `SELECT ${columns.join(', ')} FROM applied a SEMI JOIN suspects x ON x.id = ${id}
    LEFT JOIN score_rows s ON s.log_partition = a.log_partition AND s.log_offset = a.log_offset
    LEFT JOIN differing d ON a.is_score AND d.read_id = ${readIdSql}
    LEFT JOIN late l ON l.id = ${id} AND l.incarnation = ${incarnation} AND l.sequence = ${sequence}
    LEFT JOIN (${unanswered}) u ON u.id = ${id}
    WHERE ${sequence} IS NOT NULL
    ORDER BY ${id}, ${sequence}, a.source_partition, a.source_offset`
}

function visitOf(row: readonly SqlValue[]): Visit {
  const [
    id,
    sequence,
    incarnation,
    outcome,
    cause,
    eventType,
    isScore,
    ours,
    known,
    ahead,
    valid,
    implied,
    differing,
    flags,
  ] = row
  return {
    id: String(id),
    sequence: Number(sequence),
    incarnation: Number(incarnation),
    outcome: String(outcome),
    cause: String(cause),
    eventType: valid === true ? String(eventType) : null,
    isScore: isScore === true,
    isOurs: ours === true,
    unansweredKnown: Number(known),
    unansweredAhead: Number(ahead),
    impliedOutcome: String(implied),
    differing: typeof differing === 'string' ? differing : null,
    flags: typeof flags === 'string' ? flagsSchema.parse(JSON.parse(flags)) : noFlags,
  }
}

class IncarnationWalk {
  unjudged = 0
  private readonly input: IncarnationsInput
  private readonly entity: EntityManifest
  private readonly features: readonly FeatureManifest[]
  private walked: WalkedIncarnation | null = null

  constructor(input: IncarnationsInput, entity: EntityManifest, features: readonly FeatureManifest[]) {
    this.input = input
    this.entity = entity
    this.features = features
  }

  visit(visit: Visit): void {
    const walked = this.walkOf(visit)
    const isJudged = this.follow(walked, visit)
    if (visit.eventType === null) {
      walked.isBroken = true
      return
    }
    if (visit.isScore && visit.isOurs) {
      if (isJudged) this.compare(visit)
      else this.unjudged += 1
    }
    const { outcome, impliedOutcome } = visit
    if (isJudged && visit.isOurs && outcome !== impliedOutcome) this.mismatch(visit, 'outcome', outcome, impliedOutcome)
  }

  private walkOf(visit: Visit): WalkedIncarnation {
    const { entity, input } = this
    const before = this.walked
    if (before !== null && before.id === visit.id && before.incarnation === visit.incarnation) return before
    const { apply } = input.tallies
    if (before?.id !== visit.id) apply.count(pluralOf(entity.name))
    else if (visit.incarnation < before.next) {
      apply.violation('incarnations_overlap', () => ({
        ...this.place(visit),
        incarnation: visit.incarnation,
        earlier: before.incarnation,
      }))
    }
    const { id, incarnation } = visit
    this.walked = { id, incarnation, next: incarnation, gaps: 0, isGapReported: false, isBroken: false }
    return this.walked
  }

  /** Checks the visit's number against the incarnation so far. Answers whether all before it is known. */
  private follow(walked: WalkedIncarnation, visit: Visit): boolean {
    const { apply } = this.input.tallies
    const { sequence } = visit
    apply.count('sequence numbers')
    if (sequence < walked.incarnation) {
      apply.violation('sequence_before_incarnation', () => ({ ...this.place(visit), incarnation: walked.incarnation }))
    } else if (sequence < walked.next) {
      apply.violation('sequence_twice', () => this.place(visit))
    } else {
      walked.gaps += sequence - walked.next
      walked.next = sequence + 1
    }
    if (walked.isBroken) return false
    if (walked.gaps === 0) return true
    // Only other partitions can still owe earlier events: an entity's own partition arrives in order.
    const owed = this.entity.partitionKey ? 0 : visit.unansweredAhead
    if (walked.gaps <= visit.unansweredKnown && owed === 0) return true
    if (!this.input.settled) return false
    if (!walked.isGapReported) {
      walked.isGapReported = true
      const { gaps } = walked
      apply.violation('sequence_gap', () => ({
        ...this.place(visit),
        gaps,
        explained: visit.unansweredKnown,
      }))
    }
    return true
  }

  private compare(visit: Visit): void {
    const { parity } = this.input.tallies
    // The score flags missing history of the state. Truncated and saturated values can be recomputed.
    const incomplete = this.features.filter(({ name }) => visit.flags[name] === 'incomplete').length
    parity.count('values', this.features.length - incomplete)
    if (incomplete > 0) parity.count('incomplete values', incomplete)
    if (visit.differing === null) return
    for (const { feature, logged, recomputed } of differencesSchema.parse(JSON.parse(visit.differing))) {
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
