import { z } from 'zod'
import { cloudEventSchema, eventLimits, type CloudEvent } from '../../events/envelope.ts'
import { outputTypes, eventObservedSchema } from '../../scoring/output-events.ts'
import type { EntityPosition, EventObserved, ScoreData } from '../../scoring/output-events.ts'
import type { ScoreForm } from '../../scoring/score-form.ts'
import type { FeatureManifest, FeatureSetManifest } from '../../engine/feature-set.ts'
import { compileCheck } from '../../events/codec/plain-schema.ts'
import { otherHeaders } from '../../events/codec/resent-record.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { Column, ColumnType } from '../../ports/tables.ts'
import type { ObservationRow, OutputEvent, OutputRow, ScoreRow, UnreadableRow } from './output-row.ts'
import { logColumns } from './event-table.ts'
import type { LakeSchema } from './lake-schema.ts'
import { onlyColumnSpec, ownColumns, typedColumnSpec } from './own-columns.ts'
import { scoreType } from './scored-sql.ts'
import { tableSpec } from './table.ts'
import type { ColumnSpec, TableSpec } from './table.ts'

/** The tables filled from the score topic, and how its records are read. */
export interface ScoreTables {
  readonly scores: TableSpec<ScoreRow>
  readonly observations: TableSpec<ObservationRow>
  readonly unreadable: TableSpec<UnreadableRow>
  /** Total: every record becomes a row of one of the tables. */
  read(record: LogRecord): OutputRow
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Ids of output events hold two ids, so they are longer than ids of events. */
const outputEnvelope = cloudEventSchema.extend({ id: z.string().min(1).max(eventLimits.outputIdLengthMax) })

type Check<Event> = (json: unknown) => json is Event

/**
 * Whether it is a score as we write it. Checked first, because zod costs as much as all the rest; zod explains a
 * refusal.
 */
function plainScore({ emits, schema }: ScoreForm): Check<CloudEvent & { readonly data: ScoreData }> {
  const check = compileCheck(outputEnvelope.extend({ type: z.literal(emits), data: schema }))
  // The schema is made of the form at run time: the compiler cannot know its type of the data.
  return (check ?? (() => false)) as Check<CloudEvent & { readonly data: ScoreData }>
}

export function scoreTables(schema: Pick<LakeSchema, 'manifest' | 'scored' | 'owner'>): ScoreTables {
  const { manifest, scored } = schema
  const known: Known = {
    scores: new Map(scored.map(({ form }) => [form.emits, { form, isPlain: plainScore(form) }])),
    features: new Map(manifest.features.map((feature) => [feature.name, feature])),
    entities: new Set(manifest.entities.map(({ name }) => name)),
  }
  return {
    scores: scoreTable(schema),
    observations: observationTable(manifest),
    unreadable: unreadableTable,
    read: (record) => readOutputEvent(record, known),
  }
}

interface KnownScore {
  readonly form: ScoreForm
  readonly isPlain: ReturnType<typeof plainScore>
}

interface Known {
  /** By the type of the score. */
  readonly scores: ReadonlyMap<string, KnownScore>
  readonly features: ReadonlyMap<string, FeatureManifest>
  readonly entities: ReadonlySet<string>
}

function typeOf(json: unknown): string {
  const type = typeof json === 'object' && json !== null && 'type' in json ? json.type : null
  return typeof type === 'string' ? type : ''
}

function readOutputEvent(record: LogRecord, known: Known): OutputRow {
  const unreadable = (errorCode: UnreadableRow['errorCode'], detail: string, eventType: string | null = null) =>
    ({ kind: 'unreadable', row: { record, eventType, errorCode, detail } }) as const
  if (record.fault !== undefined) return unreadable(record.fault.code, record.fault.detail)
  let text: string
  try {
    text = utf8.decode(record.value)
  } catch {
    return unreadable('undecodable_bytes', 'the bytes are not UTF-8')
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return unreadable('invalid_json', error instanceof Error ? error.message : 'not JSON')
  }
  const usual = known.scores.get(typeOf(json))
  if (usual !== undefined && usual.isPlain(json)) return scoreRow(record, json, json.data, known)
  const envelope = outputEnvelope.safeParse(json)
  if (!envelope.success) return unreadable('invalid_envelope', z.prettifyError(envelope.error))
  const { type } = envelope.data
  const score = known.scores.get(type)
  if (score !== undefined) {
    const data = score.form.schema.safeParse(envelope.data.data)
    if (!data.success) return unreadable('invalid_data', z.prettifyError(data.error), type)
    // The schema is the form's, as in {@link plainScore}.
    return scoreRow(record, envelope.data, data.data as ScoreData, known)
  }
  if (type === outputTypes.observed) {
    const data = eventObservedSchema.safeParse(envelope.data.data)
    if (!data.success) return unreadable('invalid_data', z.prettifyError(data.error), type)
    const unmapped = unmappedOf(data.data.entities, {}, known)
    return { kind: 'observation', row: { record, envelope: envelope.data, data: data.data, unmapped } }
  }
  return unreadable('unknown_event_type', `no table for events of type "${type}"`, type)
}

function scoreRow(record: LogRecord, envelope: CloudEvent, data: ScoreData, known: Known): OutputRow {
  const unmapped = unmappedOf(data.entities, data.features, known)
  return { kind: 'score', row: { record, envelope, data, unmapped } }
}

function unmappedOf(
  found: Readonly<Record<string, EntityPosition>>,
  values: Readonly<Record<string, number | null>>,
  { features, entities }: Known,
): string | null {
  let other: { entities: Record<string, EntityPosition>; features: Record<string, number | null> } | null = null
  for (const name in found) {
    const position = found[name]
    if (position === undefined || entities.has(name)) continue
    other ??= { entities: {}, features: {} }
    other.entities[name] = position
  }
  for (const name in values) {
    const feature = features.get(name)
    const value = values[name] ?? null
    if (feature !== undefined && fits(feature, value)) continue
    other ??= { entities: {}, features: {} }
    other.features[name] = value
  }
  return other === null ? null : JSON.stringify(other)
}

function fits(feature: FeatureManifest, value: number | null): boolean {
  return value === null || feature.type === 'double' || Number.isSafeInteger(value)
}

interface WithEntities {
  readonly data: { readonly entities: Readonly<Record<string, EntityPosition>> }
}

/** `<entity>_id`, `_sequence`, `_incarnation` and `_outcome`; null where the event does not name the entity. */
function entityColumns<Row extends WithEntities>(
  manifest: FeatureSetManifest,
  taken: ReadonlySet<string>,
): readonly ColumnSpec<Row>[] {
  return manifest.entities.flatMap(({ name }): ColumnSpec<Row>[] => [
    ...(taken.has(`${name}_id`) ? [] : [entityColumn<Row>(name, 'id', 'VARCHAR')]),
    entityColumn<Row>(name, 'sequence', 'BIGINT'),
    entityColumn<Row>(name, 'incarnation', 'BIGINT'),
    entityColumn<Row>(name, 'outcome', 'VARCHAR'),
  ])
}

function entityColumn<Row extends WithEntities>(
  entity: string,
  part: keyof EntityPosition,
  type: ColumnType,
): ColumnSpec<Row> {
  const holds = `the ${part} of the entity ${entity}`
  return { name: `${entity}_${part}`, type, holds, read: (r) => r.data.entities[entity]?.[part] ?? null }
}

/** The envelope, the position of the cause, and the record's own position. */
function outputColumns<Data extends { readonly position: ScoreData['position'] }>(): readonly ColumnSpec<
  OutputEvent<Data>
>[] {
  return [
    { name: 'source_topic', type: 'VARCHAR', read: (r) => r.data.position.topic },
    { name: 'source_partition', type: 'BIGINT', read: (r) => r.data.position.partition },
    { name: 'source_offset', type: 'BIGINT', read: (r) => r.data.position.offset },
    { name: 'event_time_ms', type: 'BIGINT', read: (r) => Date.parse(r.envelope.time) },
    { name: 'correlation_id', type: 'VARCHAR', read: (r) => r.envelope.correlationid ?? null },
    { name: 'causation_id', type: 'VARCHAR', read: (r) => r.envelope.causationid ?? null },
    { name: 'source', type: 'VARCHAR', read: (r) => r.envelope.source },
    { name: 'unmapped', type: 'VARCHAR', read: (r) => r.unmapped },
    { name: 'log_key', type: 'VARCHAR', read: (r) => r.record.key },
    { name: 'headers', type: 'VARCHAR', read: (r) => otherHeaders(r.record.headers) },
    ...logColumns<OutputEvent<Data>>((r) => r.record),
  ]
}

/** The columns that every score fills, whatever its type. */
const judgement: readonly ColumnSpec<ScoreRow>[] = [
  { name: 'score', type: 'DOUBLE', read: (r) => r.data.score },
  { name: 'decision', type: 'VARCHAR', read: (r) => r.data.decision },
  { name: 'model_name', type: 'VARCHAR', read: (r) => r.data.model.name },
  { name: 'model_version', type: 'VARCHAR', read: (r) => r.data.model.version },
  { name: 'service', type: 'VARCHAR', read: (r) => r.data.service },
  { name: 'feature_set', type: 'VARCHAR', read: (r) => r.data.featureSet },
  // As JSON by feature; null for almost every event.
  { name: 'flags', type: 'VARCHAR', read: (r) => jsonOrNull(r.data.flags) },
  // Scores of models that decide nothing, by `<name>/<version>`, as JSON; null where there were none.
  { name: 'shadows', type: 'VARCHAR', read: (r) => jsonOrNull(r.data.shadows) },
  { name: 'policy_version', type: 'VARCHAR', read: (r) => r.data.policy?.version ?? null },
  { name: 'decided_by', type: 'VARCHAR', read: (r) => r.data.policy?.decidedBy ?? 'model' },
  // As JSON, the strongest first; null where the decision was to approve.
  { name: 'reasons', type: 'VARCHAR', read: (r) => jsonOrNull(r.data.reasons) },
  { name: 'reasons_unavailable', type: 'VARCHAR', read: (r) => r.data.reasonsUnavailable ?? null },
]

/** The columns that every table of scores has, whatever is scored. */
export const scoreEnvelopeColumns: readonly Column[] = [...judgement, ...outputColumns<ScoreData>()]

function scoreTable({
  manifest,
  scored,
  owner,
}: Pick<LakeSchema, 'manifest' | 'scored' | 'owner'>): TableSpec<ScoreRow> {
  const entityOf = new Map(manifest.entities.map(({ name }) => [`${name}_id`, name]))
  const own = ownColumns(scored).map((column) =>
    scored.length === 1 ? onlyColumnSpec(column) : typedColumnSpec(column, entityOf.get(column.name) ?? null),
  )
  const ofEvent: readonly ColumnSpec<ScoreRow>[] = [
    { name: 'event_id', type: 'VARCHAR', read: (r) => r.envelope.id },
    ...(scored.length === 1 ? [] : [{ name: scoreType, type: 'VARCHAR', read: typeOfScore } as const]),
    ...own,
  ]
  const features = manifest.features.map((feature): ColumnSpec<ScoreRow> => ({
    name: feature.name,
    type: feature.type === 'integer' ? 'BIGINT' : 'DOUBLE',
    holds: `the feature ${feature.name}`,
    read: (r) => {
      const value = r.data.features[feature.name] ?? null
      return fits(feature, value) ? value : null
    },
  }))
  const taken = new Set(ofEvent.map(({ name }) => name))
  const entities = entityColumns<ScoreRow>(manifest, taken)
  const columns = [...ofEvent, ...judgement, ...features, ...entities, ...outputColumns<ScoreData>()]
  return tableSpec('scores', columns, {
    eventTimes: scored.map(({ timeMs }) => timeMs),
    // The scored event causes a score, whatever its type calls its id.
    identity: { aggregate: owner, id: 'causation_id' },
  })
}

const typeOfScore = ({ envelope }: ScoreRow) => envelope.type

function jsonOrNull(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

function observationTable(manifest: FeatureSetManifest): TableSpec<ObservationRow> {
  const columns: readonly ColumnSpec<ObservationRow>[] = [
    { name: 'event_id', type: 'VARCHAR', read: (r) => r.envelope.id },
    { name: 'observed_id', type: 'VARCHAR', read: (r) => r.data.observedId },
    { name: 'observed_type', type: 'VARCHAR', read: (r) => r.data.observedType },
    { name: 'feature_set', type: 'VARCHAR', read: (r) => r.data.featureSet },
    ...entityColumns<ObservationRow>(manifest, new Set()),
    ...outputColumns<EventObserved>(),
  ]
  return tableSpec('observations', columns)
}

/** Records of the score topic that are no output event of ours: kept so that nothing is lost. */
const unreadableTable: TableSpec<UnreadableRow> = tableSpec<UnreadableRow>('unreadable', [
  { name: 'event_type', type: 'VARCHAR', read: (r) => r.eventType },
  { name: 'error_code', type: 'VARCHAR', read: (r) => r.errorCode },
  { name: 'detail', type: 'VARCHAR', read: (r) => r.detail },
  { name: 'raw', type: 'BLOB', read: (r) => r.record.value },
  { name: 'log_key', type: 'VARCHAR', read: (r) => r.record.key },
  { name: 'headers', type: 'VARCHAR', read: (r) => otherHeaders(r.record.headers) },
  ...logColumns<UnreadableRow>((r) => r.record),
])
