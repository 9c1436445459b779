import type { FeatureSql } from '../../compile/sql/feature-sql.ts'
import { type LakeSchema } from '../tables/lake-schema.ts'
import type { FeaturePlan } from '../../engine/plan.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Scorer } from '../../ports/scorer.ts'
import type { Lake, Snapshot } from '../commit/lake.ts'
import { catalogOf } from '../tables/sql-catalog.ts'
import { checkApplication } from './entities/application.ts'
import { checkCauses } from './scores/causes.ts'
import { checkDecisions, type DecisionsInput } from './scores/decisions.ts'
import { checkOutputEvents, scoresOf } from './scores/output-events.ts'
import { checkDamage, checkFiles, checkOffsets, checkRanges, sizeDamage } from './files.ts'
import { findWatermark, lagOf, type Watermark, type LogPositions, type Topics } from './watermark.ts'
import { addVerdicts } from './entities/labels.ts'
import type { LakeDatabase, LakeQuery } from './lake-query.ts'
import { checkIncarnations } from './entities/incarnations.ts'
import { checkStates, type StateSample, type StatesInput } from './entities/states.ts'
import { Tally, type Pending, type VerifyReport } from './report.ts'
import { createWorkingTables } from './working-tables.ts'

export type VerifyPhase = 'files' | 'rows' | 'events' | 'features' | 'decisions' | 'states'

export interface VerifyOptions {
  readonly lake: Lake
  /** Opens a database in which these statements were run; it needs room to spill. */
  readonly openQuery: (setup: readonly string[]) => Promise<LakeDatabase>
  readonly schema: LakeSchema
  readonly topics: Topics
  /** The SQL that recomputes features, aggregated and derived. */
  readonly sql: FeatureSql
  /** The models at hand, champions and shadows of any time; scores of others are only counted. */
  readonly scorers: readonly Scorer[]
  /** Loads policies, to recompute their decisions; left out, none is at hand. */
  readonly loadPolicy?: DecisionsInput['loadPolicy']
  /** Read before the lake; null without a log. */
  readonly positions: LogPositions | null
  /** When the log took the oldest record that this version of the lake lacks; null when it lacks none. */
  readonly oldestUnreadMs?: (snapshot: Snapshot) => Promise<number | null>
  /** The store and the sample of states to compare with the lake; null leaves them out, and the report says so. */
  readonly states: {
    readonly store: StatesInput['store']
    readonly plan: FeaturePlan
    readonly sample: StateSample
  } | null
  /** Compares the sizes of the files instead of their checksums. */
  readonly fast: boolean
  readonly clock: Clock
  readonly onProgress?: (phase: VerifyPhase, rows: number) => void
}

interface Tallies {
  readonly I1: Tally
  readonly I2: Tally
  readonly I3: Tally
  readonly I4: Tally
  readonly I5: Tally
}

interface RowsChecked {
  readonly snapshot: Snapshot
  readonly query: LakeDatabase
  readonly watermark: Watermark
  readonly hasCopies: boolean
}

/** What the lake shows to be under way, and when the log took the oldest of it. */
interface JudgedPending {
  /** Events of each scored type, by its word. */
  readonly scored: ReadonlyMap<string, number>
  readonly otherEvents: number
  readonly reads: number
  readonly oldestMs: number | null
}

/**
 * Recomputes I1, I2, I3 and I5 from one version of the lake, and I4 from it and the online store. What may still be
 * under way is `pending`, never a failure; what could not be checked is not ok. In memory: one entity's incarnation,
 * one batch of rows, and what the database may use. Errors: those of the lake and `query_failed`; the report lists
 * damaged files.
 */
export async function verifyLake(options: VerifyOptions): Promise<VerifyReport> {
  const { lake, schema, positions, topics, clock } = options
  const plurals = schema.scored.map(({ plural }) => plural)
  const startedMs = clock.nowMs()
  const snapshot = await lake.snapshot()
  const tallies: Tallies = {
    I1: new Tally('apply once', ['events applied', 'duplicates', 'invalid', 'sequence numbers']),
    I2: new Tally('emission', countedOf(plurals)),
    I3: new Tally('parity', ['score rows', 'values', 'scores recomputed']),
    I4: new Tally('states', ['states compared', 'values']),
    I5: new Tally('lake', ['files', 'rows', 'offsets']),
  }
  options.onProgress?.('files', snapshot.files.length)
  const looksWhole = (await sizeDamage(lake, snapshot)).length === 0
  const damage = checkDamage(lake, snapshot, options.fast, tallies.I5)
  const hasDamage = damage.then((found) => found.length > 0)
  const judged = looksWhole ? await checkRows(options, snapshot, tallies, hasDamage) : await hasDamage.then(() => null)
  const damaged = await damage
  checkRanges(snapshot, tallies.I5)
  const unchecked = judged === null ? 'files are damaged: what they held is unknown' : null
  const invariants = {
    I1: tallies.I1.report(unchecked),
    I2: tallies.I2.report(unchecked),
    I3: tallies.I3.report(unchecked),
    ...(options.states === null ? {} : { I4: tallies.I4.report(unchecked) }),
    I5: tallies.I5.report(),
  }
  const all = Object.values(invariants)
  const violations = all.reduce((sum, invariant) => sum + invariant.violations, 0)
  const judgedPending = judged?.pending
  const pending: Pending = {
    eventRecords: lagOf(snapshot, positions, topics.events),
    scoreRecords: lagOf(snapshot, positions, topics.scores),
    ...Object.fromEntries(plurals.map((plural) => [plural, judgedPending?.scored.get(plural) ?? 0])),
    otherEvents: judgedPending?.otherEvents ?? 0,
    reads: judgedPending?.reads ?? 0,
  }
  const oldest = [judgedPending?.oldestMs ?? null, (await options.oldestUnreadMs?.(snapshot)) ?? null]
  const oldestMs = Math.min(...oldest.map((ms) => ms ?? Infinity))
  return {
    damaged,
    ok: violations === 0 && all.every((invariant) => invariant.unchecked === null),
    lakeVersion: snapshot.version,
    featureSet: schema.manifest.hash,
    scored: plurals,
    watermark: judged?.watermark.kind ?? 'seen',
    invariants,
    pending,
    oldestPendingMs: oldestMs === Infinity ? null : Math.max(0, startedMs - oldestMs),
    mismatches: invariants.I3.violations,
    violations,
    notes: notesOf(options),
    seconds: (clock.nowMs() - startedMs) / 1_000,
  }
}

/** The counters of I2, in the order of the report. */
function countedOf(plurals: readonly string[]): string[] {
  const ofTypes = plurals.flatMap((plural) => (plurals.length === 1 ? [plural] : [plural, scoresOf(plural)]))
  return [...ofTypes, 'scores', 'copies']
}

/**
 * Null when files turn out to be damaged: then nothing read from them proves anything, not even a failed read.
 * Checksums the files while the database reads them for the first time.
 */
async function checkRows(
  options: VerifyOptions,
  snapshot: Snapshot,
  tallies: Tallies,
  damage: Promise<boolean>,
): Promise<{ readonly watermark: Watermark; readonly pending: JudgedPending } | null> {
  const { schema, sql, scorers } = options
  const progress = (phase: VerifyPhase) => {
    let done = 0
    return (rows: number) => options.onProgress?.(phase, (done += rows))
  }
  const ofFiles = new Tally('lake', [])
  const preparing = prepareRows(options, snapshot, ofFiles, progress)
  const [damaged, prepared] = await Promise.allSettled([damage, preparing])
  if (damaged.status === 'rejected' || damaged.value) {
    if (prepared.status === 'fulfilled') prepared.value.query.close()
    if (damaged.status === 'rejected') throw damaged.reason
    return null
  }
  const rows = await preparing
  try {
    tallies.I5.add(ofFiles)
    // Checks of a score's own row need no history: a model computes while the database does.
    const ofRows = new Tally('parity', [])
    const loadPolicy = options.loadPolicy ?? (() => Promise.resolve(null))
    const decisions = { schema, sql, scorers, loadPolicy, tally: ofRows, onProgress: progress('decisions') }
    const [pending] = await bothOf(
      rows.query,
      checkHistory(options, rows, tallies, progress),
      besideOf(rows.query, (beside) => checkDecisions({ ...decisions, query: beside })),
    )
    tallies.I3.add(ofRows)
    return { watermark: rows.watermark, pending }
  } finally {
    rows.query.close()
  }
}

/** Opens the database, checks the files with it, and makes the tables that all further checks share. */
async function prepareRows(
  options: VerifyOptions,
  snapshot: Snapshot,
  tally: Tally,
  progress: (phase: VerifyPhase) => (rows: number) => void,
): Promise<RowsChecked> {
  const { lake, schema, topics, positions, sql } = options
  const query = await options.openQuery(catalogOf(lake, snapshot, schema).setup)
  try {
    progress('rows')(0)
    const hasDoubles = await checkOffsets(snapshot, query, positions?.dense ?? false, tally)
    await checkFiles(lake, snapshot, query, hasDoubles, tally)
    progress('events')(0)
    const watermark = await findWatermark(query, snapshot, positions, topics)
    const { hasCopies } = await createWorkingTables(query, {
      ...{ schema, topics, watermark, hasDoubles },
      fields: [...sql.fields, ...sql.eventFields],
    })
    await addVerdicts(query, { sql, schema })
    return { snapshot, query, watermark, hasCopies }
  } catch (error) {
    query.close()
    throw error
  }
}

async function checkHistory(
  options: VerifyOptions,
  { snapshot, query, watermark, hasCopies }: RowsChecked,
  tallies: Tallies,
  progress: (phase: VerifyPhase) => (rows: number) => void,
): Promise<JudgedPending> {
  const { schema, topics, sql } = options
  const scored = await checkOutputEvents(query, schema, hasCopies, tallies.I2)
  await checkCauses(query, schema, topics, tallies.I2)
  const otherEvents = await checkApplication({ query, schema, snapshot, topics }, tallies.I1)
  const reads = await checkIncarnations({
    query,
    schema,
    sql,
    settled: watermark.settled,
    tallies: { apply: tallies.I1, parity: tallies.I3 },
    onProgress: progress('features'),
  })
  progress('states')(0)
  if (options.states !== null) await checkStates(statesInput(options, options.states, query, watermark, tallies.I4))
  return { scored, otherEvents, reads, oldestMs: await oldestUnanswered(query) }
}

/** When the log took the oldest event in the lake that may still be answered. */
async function oldestUnanswered(query: LakeQuery): Promise<number | null> {
  const [row] = await query.rows(
    'SELECT min(append_time_ms) AS oldest FROM unanswered WHERE ahead AND NOT answered_elsewhere',
  )
  const oldest = row?.['oldest'] ?? null
  return oldest === null ? null : Number(oldest)
}

async function besideOf(database: LakeDatabase, work: (query: LakeQuery) => Promise<void>): Promise<void> {
  const query = await database.beside()
  try {
    await work(query)
  } finally {
    query.close()
  }
}

/**
 * Waits for both, so that nobody closes the database under one. When one fails it stops the other and throws the first
 * error.
 */
async function bothOf<First, Second>(
  database: LakeDatabase,
  first: Promise<First>,
  second: Promise<Second>,
): Promise<[First, Second]> {
  const errors: unknown[] = []
  const stop = (error: unknown) => {
    errors.push(error)
    database.interrupt()
  }
  first.catch(stop)
  second.catch(stop)
  await Promise.allSettled([first, second])
  if (errors.length > 0) throw errors[0]
  return Promise.all([first, second])
}

function statesInput(
  { schema, sql, topics, positions, clock }: VerifyOptions,
  { store, plan, sample }: NonNullable<VerifyOptions['states']>,
  query: LakeQuery,
  watermark: Watermark,
  tally: Tally,
): StatesInput {
  const committed = positions?.committed ?? null
  const nowMs = () => clock.nowMs()
  return { query, schema, plan, sql, store, eventTopic: topics.events, watermark, committed, sample, tally, nowMs }
}

function notesOf({ scorers, positions, fast, states }: VerifyOptions): string[] {
  return [
    states === null
      ? 'states were not compared: no store'
      : Number.isFinite(states.sample.perEntity)
        ? `states: at most ${states.sample.perEntity} of each kind of entity, chosen by seed ${states.sample.seed}`
        : 'states: of all entities',
    ...(scorers.length === 0 ? ['scores were not recomputed: no model'] : []),
    ...(positions === null ? ['without the log: what never reached the lake cannot be missed'] : []),
    ...(fast ? ['checksums of files were not compared'] : []),
  ]
}
