import { JsonWriter } from '../base/json-writer.ts'
import { utcTextOf } from '../base/utc-text.ts'
import type { NamedFlags } from '../engine/flags.ts'
import { outputEventId, type Decision, type EntityPosition, type Score } from './output-events.ts'
import { schemaOf } from '../events/event.ts'
import type { Unexplained } from './explain/explainer.ts'
import type { Reason } from './explain/reason.ts'
import type { ScoredRule } from '../events/scored-rule.ts'

/** What all scores of one type by one rollout have in common. */
export interface ScoreWriterOptions {
  readonly rule: ScoredRule
  /** CloudEvents `source`. */
  readonly source: string
  readonly model: { readonly name: string; readonly version: string }
  readonly service: string
  readonly featureSet: string
  /** `<name>/<version>` of the models whose scores are only logged, in the order of their scores. */
  readonly shadows: readonly string[]
  /** Of all features, in the order of the values. */
  readonly features: readonly string[]
  /** Names, in the order of the positions. */
  readonly entities: readonly string[]
}

/** What one score says of its own. Values and entities are in the order of the options. */
export interface ScoreParts {
  readonly eventId: string
  /** Of the scored event: the rule names the fields to repeat. */
  readonly data: Readonly<Record<string, unknown>>
  readonly observedAtMs: number
  readonly aggregateId: string
  readonly correlationId: string
  /** The event's append time: an output event is as old as its cause. */
  readonly timeMs: number
  readonly score: number
  readonly decision: Decision
  readonly values: readonly (number | null)[]
  /** Left out of the event when there are none: the bytes say no more than is known. */
  readonly flags: NamedFlags | null
  /** One per shadow, null where it failed. */
  readonly shadows: readonly (number | null)[]
  /** Null without a policy. */
  readonly policy: NonNullable<Score['policy']> | null
  /** A code: why there are none. Null: left out. */
  readonly reasons: readonly Reason[] | Unexplained | null
  /** Null where the event does not name the entity. */
  readonly entities: readonly (EntityPosition | null)[]
  readonly position: Score['position']
}

/**
 * Writes version 1 of a score as `encodeEvent` would, byte for byte, without making the object or its text first: with
 * sixty features either costs more than everything else an event needs. Id and time are functions of the event, so that
 * every copy is the same bytes (I2). Scores share memory: one that is kept keeps some hundred others.
 */
export function createScoreWriter(options: ScoreWriterOptions): (parts: ScoreParts) => Uint8Array {
  const { rule, model, service, featureSet, shadows } = options
  const writer = new JsonWriter()
  const writeEnvelope = envelopeWriter(writer, options)
  const writeRepeated = repeatedWriter(writer, rule)
  const writeFeatures = numbersWriter(writer, options.features)
  const writeShadows = numbersWriter(writer, shadows)
  const writeEntities = entitiesWriter(writer, options.entities)
  const idKey = constant(`,"data":{${JSON.stringify(rule.idField)}:`)
  const timeKey = constant(`,${JSON.stringify(rule.timeField)}:`)
  const namesAndFeatures = constant(`,${JSON.stringify({ model, service, featureSet }).slice(1, -1)},"features":`)
  return (parts) => {
    // A score that failed half-way must not begin the next one.
    writer.drop()
    writeEnvelope(parts)
    writer.raw(idKey)
    writer.text(parts.eventId)
    writeRepeated(parts.data)
    writer.raw(timeKey)
    writer.number(parts.observedAtMs)
    writer.raw(keys.score)
    writer.number(parts.score)
    writer.raw(keys.decision)
    writer.text(parts.decision)
    writer.raw(namesAndFeatures)
    writeFeatures(parts.values)
    writeUnlessNull(writer, keys.flags, parts.flags)
    if (shadows.length > 0) {
      writer.raw(keys.shadows)
      writeShadows(parts.shadows)
    }
    writeUnlessNull(writer, keys.policy, parts.policy)
    writeUnlessNull(writer, typeof parts.reasons === 'string' ? keys.unexplained : keys.reasons, parts.reasons)
    writeEntities(parts.entities)
    writePosition(writer, parts.position)
    return writer.take()
  }
}

const encoder = new TextEncoder()

function constant(json: string): Uint8Array {
  return encoder.encode(json)
}

const keys = {
  ...{ cause: constant(',"causationid":'), time: constant(',"time":') },
  ...{ score: constant(',"score":'), decision: constant(',"decision":') },
  ...{ flags: constant(',"flags":'), shadows: constant(',"shadows":'), policy: constant(',"policy":') },
  ...{ reasons: constant(',"reasons":'), unexplained: constant(',"reasonsUnavailable":') },
  ...{ entities: constant(',"entities":{'), sequence: constant(',"sequence":') },
  ...{ incarnation: constant(',"incarnation":'), outcome: constant(',"outcome":') },
  ...{ topic: constant(',"position":{"topic":'), partition: constant(',"partition":'), offset: constant(',"offset":') },
}
const comma = constant(',')
const end = constant('}')
const [noMembers, endOfAll] = [constant('{}'), constant('}}}')]

function envelopeWriter(writer: JsonWriter, { source, rule }: ScoreWriterOptions): (parts: ScoreParts) => void {
  const opening = constant('{"specversion":"1.0","id":')
  const subjectKey = constant(`,"type":"${rule.emits}","source":${JSON.stringify(source)},"subject":`)
  const schema = `"dataschema":"${schemaOf(rule.emits, 1)}","datacontenttype":"application/json"`
  const correlationKey = constant(`,${schema},"correlationid":`)
  return ({ aggregateId, eventId, timeMs, correlationId }) => {
    writer.raw(opening)
    writer.text(outputEventId(aggregateId, eventId, 'scored'))
    writer.raw(subjectKey)
    writer.text(aggregateId)
    writer.raw(keys.time)
    writer.text(utcTextOf(timeMs))
    writer.raw(correlationKey)
    writer.text(correlationId)
    writer.raw(keys.cause)
    writer.text(eventId)
  }
}

/** The fields of the scored event that its score repeats. */
function repeatedWriter(writer: JsonWriter, { repeats }: ScoredRule): (data: ScoreParts['data']) => void {
  const fields = repeats.map((field) => ({ field, key: constant(`,${JSON.stringify(field)}:`) }))
  return (data) => {
    for (const { field, key } of fields) {
      const value = data[field]
      if (value === undefined) continue
      writer.raw(key)
      if (typeof value === 'string') writer.text(value)
      else if (typeof value === 'number') writer.number(value)
      else writer.json(value)
    }
  }
}

/** An object of numbers; its names never change. */
function numbersWriter(writer: JsonWriter, names: readonly string[]): (values: readonly (number | null)[]) => void {
  const members = names.map((name, i) => constant(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`))
  return (values) => {
    let i = 0
    for (const member of members) {
      writer.raw(member)
      writer.number(values[i] ?? null)
      i += 1
    }
    writer.raw(i === 0 ? noMembers : end)
  }
}

function entitiesWriter(
  writer: JsonWriter,
  names: readonly string[],
): (positions: readonly (EntityPosition | null)[]) => void {
  const idKeys = names.map((name) => constant(`${JSON.stringify(name)}:{"id":`))
  return (positions) => {
    writer.raw(keys.entities)
    let isFirst = true
    let i = 0
    for (const idKey of idKeys) {
      const position = positions[i] ?? null
      i += 1
      if (position === null) continue
      if (!isFirst) writer.raw(comma)
      isFirst = false
      writer.raw(idKey)
      writer.text(position.id)
      writer.raw(keys.sequence)
      writer.number(position.sequence)
      writer.raw(keys.incarnation)
      writer.number(position.incarnation)
      writer.raw(keys.outcome)
      writer.text(position.outcome)
      writer.raw(end)
    }
    writer.raw(end)
  }
}

/** The last member of the data, and of the event. */
function writePosition(writer: JsonWriter, { topic, partition, offset }: ScoreParts['position']): void {
  writer.raw(keys.topic)
  writer.text(topic)
  writer.raw(keys.partition)
  writer.number(partition)
  writer.raw(keys.offset)
  writer.number(offset)
  writer.raw(endOfAll)
}

function writeUnlessNull(writer: JsonWriter, key: Uint8Array, value: unknown): void {
  if (value === null) return
  writer.raw(key)
  writer.json(value)
}

const head = new RegExp(
  String.raw`^\{"specversion":"1\.0","id":"([\w .:@|/+-]*)","type":"([a-z_.]+)","source":"[^"\\]*","subject":"([^"\\]*)",` +
    String.raw`"time":"[^"\\]*","dataschema":"[^"\\]*","datacontenttype":"application/json",` +
    String.raw`"correlationid":"[^"\\]*","causationid":"([^"\\]*)","data":\{`,
)

/** Whose score it is, as the envelope of every output event says. */
export interface ScoreHead {
  /** Of the score. */
  readonly id: string
  readonly type: string
  readonly aggregateId: string
  /** Of the scored event. */
  readonly eventId: string
}

/** The head of a text of {@link createScoreWriter}, without parsing it; null for a text of another spelling. */
export function scoreHead(text: string): ScoreHead | null {
  const match = head.exec(text)
  if (match === null) return null
  return { id: match[1] ?? '', type: match[2] ?? '', aggregateId: match[3] ?? '', eventId: match[4] ?? '' }
}
