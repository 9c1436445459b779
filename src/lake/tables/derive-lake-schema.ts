import type { FeatureSetManifest } from '../../engine/feature-set.ts'
import type { EventCatalog, EventType } from '../../events/event.ts'
import { scoreForms, type ScoreForm } from '../../scoring/score-form.ts'
import { dataColumns, nameOf } from './data-columns.ts'
import { eventTable } from './event-table.ts'
import type { DataColumn, EventView, FieldColumn, LabelColumns, LakeSchema, ScoredColumns } from './lake-schema.ts'
import { scoreTables } from './score-table.ts'
import { declaredColumns, type IdentityColumns, type TableName } from './table.ts'

/** What a lake stores: events of these types, scored with these features. */
export interface LakeDefinitions {
  readonly catalog: EventCatalog
  readonly manifest: FeatureSetManifest
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
