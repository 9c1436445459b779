import type { EntityManifest, FeatureSetManifest } from '../../engine/feature-set.ts'
import type { EventCatalog, EventType } from '../../events/event.ts'
import { scoreForms, type ScoreForm } from '../../scoring/score-form.ts'
import { dataColumns, nameOf, type DataColumn, type FieldColumn } from './data-columns.ts'
import { eventTable } from './event-table.ts'
import { scoreTables } from './score-table.ts'
import { declaredColumns, type IdentityColumns, type TableName } from './table.ts'
import type { Column } from '../../ports/tables.ts'

/** What a lake stores: events of these types, scored with these features. */
export interface LakeDefinitions {
  readonly catalog: EventCatalog
  readonly manifest: FeatureSetManifest
}

/**
 * The columns and views of a lake, derived from the definitions: writers, SQL, `verify` and `rebuild` all follow it.
 */
export interface LakeSchema {
  readonly manifest: FeatureSetManifest
  /** The entity whose id is the log's key. */
  readonly key: EntityManifest
  /** The column with its id, of every table: `<entity>_id`. */
  readonly owner: string
  /** The columns of `events` that data fields fill. */
  readonly data: readonly DataColumn[]
  /** By field of any event's data: its column in `events`. */
  readonly fields: ReadonlyMap<string, FieldColumn>
  /** One for each scored type, in their order; never empty. */
  readonly scored: readonly ScoredColumns[]
  /** One for each event type that is no label. */
  readonly views: readonly EventView[]
  readonly tables: Readonly<Record<TableName, readonly Column[]>>
  /** Of the tables in which readers look up rows by id. */
  readonly identities: Readonly<Partial<Record<TableName, IdentityColumns>>>
}

/** What the tables call the events of one scored type, their scores and their labels. */
export interface ScoredColumns {
  readonly form: ScoreForm
  /** Name of the view of the scored events, and the word for several of them in reports. */
  readonly plural: string
  /** The column with the scored event's id: in `events` its own, of a label that of its subject. */
  readonly id: string
  /** The fields that a score repeats of its event, in the order of its rule. */
  readonly repeats: readonly FieldColumn[]
  /** The columns with its observation time, as a TIMESTAMP and in milliseconds. */
  readonly time: string
  readonly timeMs: string
  /** The column with an event's worth, where its type has one. */
  readonly worth: string | null
  readonly labels: readonly LabelColumns[]
  /** The word for what its labels report, such as `fraud`. */
  readonly reported: string
  readonly relations: ScoredRelations
}

/**
 * The relations of one scored type; with several types each begins with the name of its view: `logins_training_set`.
 */
export interface ScoredRelations {
  readonly labelEvents: string
  readonly labels: string
  readonly trainingSet: string
  readonly trainingSetAsOf: string
}

/** A type of labels of one scored type. */
export interface LabelColumns {
  readonly type: string
  /** It takes back what was reported. */
  readonly withdraws: boolean
  /** The column with the id of its subject. */
  readonly subject: string
  /** The columns of `events` in which a label and its subject agree, without times. */
  readonly repeats: readonly { readonly own: string; readonly subject: string }[]
}

export interface EventView {
  readonly name: string
  readonly type: string
  /** `time`, or the field of the data with the time of the observation. */
  readonly timestampField: string
  /** Null for an event that is not scored. */
  readonly scored: ScoredColumns | null
  /** Of its data, in their order in `events`. */
  readonly columns: readonly string[]
}

/** Tables and views that every lake has, and the names that a lake of one scored type has beside them. */
const ownRelations = [
  ...['events', 'scores', 'observations', 'unreadable', 'lost_positions'],
  ...['label_events', 'labels', 'training_set', 'training_set_as_of'],
]

/** Throws one sentence when definitions cannot share a table. */
export function lakeSchema({ catalog, manifest }: LakeDefinitions): LakeSchema {
  const types = [...catalog.values()]
  const key = manifest.entities.find(({ partitionKey }) => partitionKey)
  if (key === undefined) throw new Error('a feature set has an entity that is the partition key')
  const forms = scoreForms(types)
  if (forms.length === 0) throw new Error('a lake keeps scores: one of the event types is scored')
  const owner = `${key.name}_id`
  const { data, fields } = dataColumns({ types, forms, owner })
  const scored = forms.map((form) => scoredColumns(form, types, fields, forms.length > 1))
  for (const one of scored) checkEntityIds(manifest, one)
  return withTables({ manifest, key, owner, data, fields, scored, views: eventViews(types, data, scored) })
}

function scoredColumns(
  form: ScoreForm,
  types: readonly EventType[],
  fields: ReadonlyMap<string, FieldColumn>,
  isOneOfSeveral: boolean,
): ScoredColumns {
  const timeMs = nameOf(form.timeField)
  const column = (field: string): FieldColumn => {
    const found = fields.get(field)
    if (found === undefined) throw new Error(`no event type of the lake has a field ${field}`)
    return found
  }
  const labels = types.flatMap(({ type, label }): LabelColumns[] => {
    if (label?.subjectType !== form.eventType) return []
    const repeats = Object.entries(label.repeats).filter(([, subject]) => subject !== 'time')
    return [
      {
        type,
        withdraws: label.withdraws === true,
        subject: column(label.subjectField).name,
        repeats: repeats.map(([own, subject]) => ({ own: column(own).name, subject: column(subject).name })),
      },
    ]
  })
  const plural = viewName(types.find(({ type }) => type === form.eventType) ?? { type: form.eventType })
  const prefix = isOneOfSeveral ? `${plural}_` : ''
  return {
    form,
    plural,
    id: nameOf(form.idField),
    repeats: form.repeats.map(column),
    time: timeMs.replace(/_ms$/, ''),
    timeMs,
    worth: form.worthField === undefined ? null : column(form.worthField).name,
    labels,
    reported:
      types.find(({ label }) => label?.subjectType === form.eventType && label.says !== undefined)?.label?.says ??
      'report',
    relations: {
      labelEvents: `${prefix}label_events`,
      labels: `${prefix}labels`,
      trainingSet: `${prefix}training_set`,
      trainingSetAsOf: `${prefix}training_set_as_of`,
    },
  }
}

/** The scored type of events of this type. Throws where it is none. */
export function scoredOfType({ scored }: Pick<LakeSchema, 'scored'>, eventType: string): ScoredColumns {
  const found = scored.find(({ form }) => form.eventType === eventType)
  if (found === undefined) throw new Error(`events of type ${eventType} are not scored`)
  return found
}

/** The scored type that a service is of. Throws where there is no such service. */
export function scoredOfService(schema: Pick<LakeSchema, 'scored' | 'manifest'>, service: string): ScoredColumns {
  const found = schema.manifest.services.find(({ name }) => name === service)
  if (found === undefined) throw new Error(`no service is named ${service}`)
  return scoredOfType(schema, found.eventType)
}

/** Refuses a table with two columns of one name. */
function withTables(schema: Omit<LakeSchema, 'tables' | 'identities'>): LakeSchema {
  const events = eventTable(schema)
  const { scores, observations, unreadable } = scoreTables(schema)
  const tables = {
    events: declaredColumns(events),
    scores: declaredColumns(scores),
    observations: declaredColumns(observations),
    unreadable: declaredColumns(unreadable),
  }
  const identities: Partial<Record<TableName, IdentityColumns>> = {}
  for (const { table, roles } of [events, scores]) if (roles.identity !== undefined) identities[table] = roles.identity
  return { ...schema, tables, identities }
}

/** A score has the id of an entity once: in the field that it repeats, where that is the id. */
function checkEntityIds({ entities }: FeatureSetManifest, { repeats, form }: ScoredColumns): void {
  for (const { name, keyFields } of entities) {
    const repeated = repeats.find((one) => one.name === `${name}_id`)
    if (repeated === undefined || (keyFields.length === 1 && keyFields[0] === repeated.field)) continue
    throw new Error(
      `event type "${form.emits}": repeats ${repeated.field} as ${repeated.name}, which is the id of the entity ${name}`,
    )
  }
}

function eventViews(
  types: readonly EventType[],
  data: readonly DataColumn[],
  scored: readonly ScoredColumns[],
): EventView[] {
  const names = new Map<string, string>(ownRelations.map((name) => [name, 'the lake itself']))
  const views = types
    .filter(({ label }) => label === undefined)
    .map((event): EventView => {
      const { type, timestampField } = event
      const name = viewName(event)
      const other = names.get(name)
      if (other !== undefined) {
        throw new Error(`event type "${type}": its view would be called ${name}, as one of ${other} is: give it a view`)
      }
      names.set(name, type)
      const columns = data.filter((column) => column.sources.has(type)).map((column) => column.name)
      const own = scored.find(({ form }) => form.eventType === type) ?? null
      return { name, type, timestampField, scored: own, columns: columns.filter((one) => one !== own?.id) }
    })
  if (scored.length > 1) checkRelations(scored, names)
  return views
}

/** With several scored types relations are named after views, so another type's view may have the same name. */
function checkRelations(scored: readonly ScoredColumns[], names: Map<string, string>): void {
  for (const { relations, form } of scored) {
    const { labelEvents, labels, trainingSet, trainingSetAsOf } = relations
    for (const name of [labelEvents, labels, trainingSet, trainingSetAsOf]) {
      const other = names.get(name)
      if (other !== undefined) {
        throw new Error(
          `event type "${other}": its view is called ${name}, as one of ${form.eventType}: give it another`,
        )
      }
      names.set(name, form.eventType)
    }
  }
}

function viewName({ type, view }: Pick<EventType, 'type' | 'view'>): string {
  return view ?? type.replaceAll('.', '_')
}
