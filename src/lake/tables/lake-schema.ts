import type { EntityManifest, FeatureSetManifest } from '../../engine/feature-set.ts'
import type { FieldForm, FieldKind } from '../../events/field-form.ts'
import type { ScoreForm } from '../../scoring/score-form.ts'
import type { IdentityColumns, TableName } from './table.ts'
import type { Column } from '../../ports/tables.ts'

/** Fills a column with the id of the event itself. */
export const ownId = Symbol('the id of the event')

/** A column of `events` that data fields fill. */
export interface DataColumn extends Column {
  readonly kind: FieldKind
  /** By event type: the field that fills it, or the event's own id. */
  readonly sources: ReadonlyMap<string, string | typeof ownId>
}

/** The column of a field, and what NULL means there: that some event type leaves it out, or has null. */
export interface FieldColumn extends Column, Omit<FieldForm, 'inner'> {
  readonly field: string
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
