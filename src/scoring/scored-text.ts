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
 * Writes version 1 of a score as `encodeEvent` would, byte for byte, without making the object first: with sixty
 * features that costs more than everything else an event needs. Id and time are functions of the event, so that
 * every copy is the same bytes (I2).
 */
export function createScoreWriter(options: ScoreWriterOptions): (parts: ScoreParts) => string {
  const { source, model, service, featureSet, rule } = options
  const opening = `"type":"${rule.emits}","source":${JSON.stringify(source)},"subject":`
  const schema = schemaOf(rule.emits, 1)
  const afterTime = `","dataschema":"${schema}","datacontenttype":"application/json","correlationid":`
  const idKey = JSON.stringify(rule.idField)
  const timeKey = JSON.stringify(rule.timeField)
  const repeated = rule.repeats.map((field) => ({ field, key: `,${JSON.stringify(field)}:` }))
  const names = JSON.stringify({ model, service, featureSet }).slice(1, -1)
  const afterDecision = `",${names},"features":`
  const keys = options.features.map((name, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`)
  const shadowKeys = options.shadows.map((name, i) => `${i === 0 ? ',"shadows":{' : ','}${JSON.stringify(name)}:`)
  const entityKeys = options.entities.map((name) => `${JSON.stringify(name)}:{"id":`)

  const numbersOf = (names: readonly string[], values: readonly (number | null)[]): string => {
    let text = ''
    for (let i = 0; i < names.length; i += 1) text += (names[i] ?? '') + numberText(values[i] ?? null)
    return `${text}}`
  }
  const featuresOf = (values: readonly (number | null)[]): string =>
    keys.length === 0 ? '{}' : numbersOf(keys, values)
  /** Nothing at all without shadows. */
  const shadowsOf = (scores: readonly (number | null)[]): string =>
    shadowKeys.length === 0 ? '' : numbersOf(shadowKeys, scores)
  const entitiesOf = (positions: readonly (EntityPosition | null)[]): string => {
    let text = ''
    for (let i = 0; i < entityKeys.length; i += 1) {
      const position = positions[i] ?? null
      if (position === null) continue
      const { id, sequence, incarnation, outcome } = position
      text += `${text === '' ? '' : ','}${entityKeys[i]}${stringText(id)},"sequence":${sequence},"incarnation":${incarnation},"outcome":"${outcome}"}`
    }
    return text
  }

  const repeatedOf = (data: ScoreParts['data']): string => {
    let text = ''
    for (const { field, key } of repeated) {
      const value = data[field]
      if (value !== undefined) text += key + valueText(value)
    }
    return text
  }

  return (parts) => {
    const { position } = parts
    const id = stringText(parts.eventId)
    const outputEvents = stringText(outputEventId(parts.aggregateId, parts.eventId, 'scored'))
    const head = `{"specversion":"1.0","id":${outputEvents},${opening}${stringText(parts.aggregateId)}`
    const time = `,"time":"${new Date(parts.timeMs).toISOString()}${afterTime}${stringText(parts.correlationId)}`
    const cause = `,"causationid":${id},"data":{${idKey}:${id}${repeatedOf(parts.data)},${timeKey}:${parts.observedAtMs}`
    const judged = `,"score":${numberText(parts.score)},"decision":"${parts.decision}${afterDecision}`
    const flags = parts.flags === null ? '' : `,"flags":${JSON.stringify(parts.flags)}`
    const policy = parts.policy === null ? '' : `,"policy":${JSON.stringify(parts.policy)}`
    const reasons = reasonsOf(parts.reasons)
    const entities = `${flags}${shadowsOf(parts.shadows)}${policy}${reasons},"entities":{${entitiesOf(parts.entities)}}`
    const place = `,"position":{"topic":${stringText(position.topic)},"partition":${position.partition},"offset":${position.offset}}}}`
    return head + time + cause + judged + featuresOf(parts.values) + entities + place
  }
}

function reasonsOf(reasons: ScoreParts['reasons']): string {
  if (reasons === null) return ''
  return typeof reasons === 'string' ? `,"reasonsUnavailable":"${reasons}"` : `,"reasons":${JSON.stringify(reasons)}`
}

/** As JSON has it: no minus zero, and null for what is no number. */
function numberText(value: number | null): string {
  return value === null || !Number.isFinite(value) ? 'null' : `${value}`
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return stringText(value)
  return typeof value === 'number' ? numberText(value) : JSON.stringify(value)
}

const plain = /^[\w .:@|/+-]*$/

function stringText(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
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
