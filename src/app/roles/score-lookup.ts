import type { ScoreData } from '../../scoring/output-events.ts'
import { RiverbankError } from '../../base/errors.ts'
import { historyHeader, type EventDoor } from '../../events/event-time.ts'
import type { EventCatalog } from '../../events/event.ts'
import { decodeEvent } from '../../events/decode-event.ts'
import { openQuery, type Query, type SqlValue } from '../../edges/duckdb/query.ts'
import { onlyFromWhole } from '../../lake/commit/damage.ts'
import type { FileEntry } from '../../lake/commit/commit.ts'
import { identityHash } from '../../lake/files/id-list.ts'
import { IdLists } from '../../lake/files/id-lists.ts'
import type { Lake } from '../../lake/commit/lake.ts'
import { valueOf } from '../../lake/tables/field-kind.ts'
import type { LakeSchema, ScoredColumns } from '../../lake/tables/lake-schema.ts'
import { scoreType } from '../../lake/tables/scored-sql.ts'
import { identifier, literal } from '../../base/sql.ts'
import type { LakeLookup } from '../../serve/http/dependencies.ts'
import { contentOf } from '../../serve/events/event-ledger.ts'
import type { FoundScore } from '../../serve/scores/score-entry.ts'

export interface LakeLookupOptions {
  readonly lake: Lake
  readonly schema: LakeSchema
  readonly catalog: EventCatalog
  /** The size of the lists of ids in memory. */
  readonly listBytesMax: number
  readonly memoryMb: number
  /** So many look-ups may wait for the running one; it refuses more (`lookup_busy`). */
  readonly queueMax: number
}

export const lakeLookupDefaults = { memoryMb: 256, queueMax: 64 } as const

/** The lists may be so old: the hub still holds scores that were committed a moment ago. */
const listsMaxAgeMs = 500

type Row = Readonly<Record<string, SqlValue | undefined>>

/**
 * Finds single scores and events in the lake, apart from the processes for analysts' SQL: one query of our own at a
 * time, over the files that may hold the id. Most look-ups ask for an id that no file holds, and cost no query.
 */
export function openLakeLookup(options: LakeLookupOptions): LakeLookup & { close(): Promise<void> } {
  const { lake, schema, catalog } = options
  const owner = identifier(schema.owner)
  const lists = new IdLists({
    lake,
    bytesMax: options.listBytesMax,
    maxAgeMs: listsMaxAgeMs,
    nowMs: () => performance.now(),
  })
  const lane = new LookupLane(options)

  return {
    async scores(eventId, { aggregateId, known, max }) {
      const candidates = await lists.candidates('scores', eventId, aggregateId)
      const ours = new Set(known.map((each) => identityHash(each, eventId)))
      const files = candidates.filter(({ identities }) => identities?.every((each) => ours.has(each)) !== true)
      if (files.length === 0) return []
      const conditions = [
        `causation_id = ${literal(eventId)}`,
        ...(aggregateId === null ? [] : [`${owner} = ${literal(aggregateId)}`]),
        ...known.map((each) => `${owner} <> ${literal(each)}`),
      ]
      // Copies of a score share their partition; the first one counts.
      const rest = `QUALIFY row_number() OVER (PARTITION BY ${owner} ORDER BY log_offset) = 1 LIMIT ${max}`
      const rows = await lane.ask(
        files.map(({ file }) => file),
        conditions,
        rest,
      )
      return rows.map((row) => foundScore(row, schema))
    },
    async event({ aggregateId, eventId }) {
      const candidates = await lists.candidates('events', eventId, aggregateId)
      if (candidates.length === 0) return null
      const conditions = ['valid', `event_id = ${literal(eventId)}`, `${owner} = ${literal(aggregateId)}`]
      const [row] = await lane.ask(
        candidates.map(({ file }) => file),
        conditions,
        'ORDER BY log_partition, log_offset LIMIT 1',
      )
      if (row === undefined || typeof row['body'] !== 'string') return null
      const result = decodeEvent(Buffer.from(row['body']), catalog, Number(row['append_time_ms']), doorOf(row))
      if (result.kind === 'invalid') return null
      return {
        partition: Number(row['log_partition']),
        offset: Number(row['log_offset']),
        content: contentOf(result.event),
      }
    },
    close: () => lane.close(),
  }
}

/** One query after the other, on a database of its own. */
class LookupLane {
  readonly #options: LakeLookupOptions
  /** Files whose checksum was right: they never change. */
  readonly #whole = new Set<string>()
  #query: Promise<Query> | null = null
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isClosed = false

  constructor(options: LakeLookupOptions) {
    this.#options = options
  }

  ask(files: readonly FileEntry[], conditions: readonly string[], rest: string): Promise<readonly Row[]> {
    if (this.#isClosed || this.#waiting >= this.#options.queueMax) {
      throw new RiverbankError('lookup_busy', `${this.#waiting} look-ups are waiting already`, { canRetry: true })
    }
    this.#waiting += 1
    const asked = this.#tail.then(() => this.#run(files, conditions, rest))
    this.#tail = asked.catch(() => undefined)
    return asked.finally(() => (this.#waiting -= 1))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#tail
    await this.#query?.then(
      (query) => query.close(),
      () => undefined,
    )
  }

  async #run(files: readonly FileEntry[], conditions: readonly string[], rest: string): Promise<readonly Row[]> {
    const { lake, memoryMb } = this.#options
    this.#query ??= openQuery({ threads: 1, memoryMb, tempDir: lake.dir, tempMb: 0, setup: [] })
    const query = await this.#query
    const paths = files.map((file) => literal(lake.pathOf(file)))
    const from = `read_parquet([${paths.join(', ')}], union_by_name = true, hive_partitioning = false)`
    const sql = `SELECT * FROM ${from} WHERE ${conditions.join(' AND ')} ${rest}`
    // A file whose checksum was compared before is not read for it again.
    const unproven = files.filter(({ path }) => !this.#whole.has(path))
    const rows = await onlyFromWhole(lake, { files: unproven, lost: [] }, () => query.rows(sql))
    for (const { path } of unproven) this.#whole.add(path)
    return rows
  }
}

/** The door that the event came through: it decides how old an event may be. */
function doorOf({ headers }: Row): EventDoor {
  const others = typeof headers === 'string' ? (JSON.parse(headers) as Record<string, string>) : {}
  const historyFrom = others[historyHeader]
  return historyFrom === undefined ? {} : { historyFrom }
}

function foundScore(row: Row, schema: LakeSchema): FoundScore {
  const data = scoreOf(row, schema.manifest, scoredOf(row, schema))
  return { aggregateId: String(row[schema.owner]), eventId: String(row['causation_id']), data }
}

/** The scored type of a row; a row from a time with a single type has the columns of that one. */
function scoredOf(row: Row, { scored }: LakeSchema): ScoredColumns {
  const type = row[scoreType] ?? null
  const found = scored.find(({ form, timeMs }) =>
    type === null ? (row[timeMs] ?? null) !== null : form.emits === type,
  )
  if (found === undefined) throw new RiverbankError('lake_corrupt', `no events have scores of type ${String(type)}`)
  return found
}

/** The fields of its event that a score repeats. A row of an older program lacks later fields. */
function repeatedOf(row: Row, { form, repeats, id, timeMs }: ScoredColumns): Readonly<Record<string, unknown>> {
  const repeated = repeats.flatMap(({ name, field, kind, isNullable, isOptional }): [string, unknown][] => {
    const value = valueOf(kind, row[name])
    if (value === undefined) return isNullable && !isOptional ? [[field, null]] : []
    return [[field, value]]
  })
  return { [form.idField]: row[id], ...Object.fromEntries(repeated), [form.timeField]: Number(row[timeMs]) }
}

/** A row of the scores table as the data of the event it came from. */
function scoreOf(row: Row, manifest: LakeSchema['manifest'], scored: ScoredColumns): ScoreData {
  // A row of an older feature set lacks later entities.
  const known = manifest.entities.filter(({ name }) => (row[`${name}_sequence`] ?? null) !== null)
  const entities = known.map(({ name }): [string, unknown] => [
    name,
    {
      id: row[`${name}_id`],
      sequence: Number(row[`${name}_sequence`]),
      incarnation: Number(row[`${name}_incarnation`]),
      outcome: row[`${name}_outcome`],
    },
  ])
  const [flags, shadows, reasons] = [row['flags'], row['shadows'], row['reasons']]
  const unavailable = row['reasons_unavailable']
  const [version, decidedBy] = [row['policy_version'], row['decided_by']]
  return scored.form.schema.parse({
    ...repeatedOf(row, scored),
    score: row['score'],
    decision: row['decision'],
    model: { name: row['model_name'], version: row['model_version'] },
    service: row['service'],
    featureSet: row['feature_set'],
    features: Object.fromEntries(manifest.features.map(({ name }) => [name, row[name] ?? null])),
    ...(typeof flags === 'string' ? { flags: JSON.parse(flags) as unknown } : {}),
    ...(typeof shadows === 'string' ? { shadows: JSON.parse(shadows) as unknown } : {}),
    ...(typeof version === 'string' ? { policy: { version, decidedBy } } : {}),
    ...(typeof unavailable === 'string' ? { reasonsUnavailable: unavailable } : {}),
    ...(typeof reasons === 'string' ? { reasons: JSON.parse(reasons) as unknown } : {}),
    entities: Object.fromEntries(entities),
    position: {
      topic: row['source_topic'],
      partition: Number(row['source_partition']),
      offset: Number(row['source_offset']),
    },
  }) as ScoreData
}
