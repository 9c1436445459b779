import { emittedId, emittedTypes, type Decision, type EntityPosition, type PaymentScored } from './emitted.ts'
import { schemaOf } from '../events/event.ts'
import type { Unexplained } from './explain/explainer.ts'
import type { NamedFlags } from '../engine/state/flags.ts'
import type { Reason } from './explain/reason.ts'

/** What all `payment.scored` events of one processor have in common. */
export interface ScoredForm {
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

/** What one of them says of its own. Values and entities are in the order of the form. */
export interface ScoredParts {
  readonly payment: Pick<PaymentScored, 'paymentId' | 'customerId' | 'terminalId' | 'amountMinor' | 'currency'>
  readonly paymentTimeMs: number
  readonly aggregateId: string
  readonly correlationId: string
  /** The payment's append time: an emitted event is as old as its cause. */
  readonly timeMs: number
  readonly score: number
  readonly decision: Decision
  readonly values: readonly (number | null)[]
  /** Left out of the event when there are none: the bytes say no more than is known. */
  readonly flags: NamedFlags | null
  /** One per shadow of the form, null where it failed. */
  readonly shadows: readonly (number | null)[]
  /** Null without a policy. */
  readonly policy: NonNullable<PaymentScored['policy']> | null
  /** A code: why there are none. Null: left out. */
  readonly reasons: readonly Reason[] | Unexplained | null
  /** Null where the payment does not name the entity. */
  readonly entities: readonly (EntityPosition | null)[]
  readonly position: PaymentScored['position']
}

/**
 * Writes `payment.scored` version 1 as `encodeEvent` would, byte for byte, without making the object first: with sixty
 * features that costs more than everything else a payment needs. Id and time are functions of the payment, so that
 * every copy is the same bytes (I2).
 */
export function createScoredWriter(form: ScoredForm): (parts: ScoredParts) => string {
  const { source, model, service, featureSet } = form
  const opening = `"type":"${emittedTypes.scored}","source":${JSON.stringify(source)},"subject":`
  const schema = schemaOf(emittedTypes.scored, 1)
  const afterTime = `","dataschema":"${schema}","datacontenttype":"application/json","correlationid":`
  const names = JSON.stringify({ model, service, featureSet }).slice(1, -1)
  const afterDecision = `",${names},"features":`
  const keys = form.features.map((name, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`)
  const shadowKeys = form.shadows.map((name, i) => `${i === 0 ? ',"shadows":{' : ','}${JSON.stringify(name)}:`)
  const entityKeys = form.entities.map((name) => `${JSON.stringify(name)}:{"id":`)

  const numbersOf = (names: readonly string[], values: readonly (number | null)[]): string => {
    let text = ''
    for (let i = 0; i < names.length; i += 1) text += (names[i] as string) + numberText(values[i] ?? null)
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
      const { id, sequence, born, outcome } = position
      text += `${text === '' ? '' : ','}${entityKeys[i]}${stringText(id)},"sequence":${sequence},"born":${born},"outcome":"${outcome}"}`
    }
    return text
  }

  return (parts) => {
    const { payment, position } = parts
    const id = stringText(payment.paymentId)
    const emitted = stringText(emittedId(parts.aggregateId, payment.paymentId, 'scored'))
    const head = `{"specversion":"1.0","id":${emitted},${opening}${stringText(parts.aggregateId)}`
    const time = `,"time":"${new Date(parts.timeMs).toISOString()}${afterTime}${stringText(parts.correlationId)}`
    const cause = `,"causationid":${id},"data":{"paymentId":${id},"customerId":${stringText(payment.customerId)}`
    const money = `,"terminalId":${stringText(payment.terminalId)},"amountMinor":${payment.amountMinor},"currency":${stringText(payment.currency)}`
    const judged = `,"paymentTimeMs":${parts.paymentTimeMs},"score":${numberText(parts.score)},"decision":"${parts.decision}${afterDecision}`
    const flags = parts.flags === null ? '' : `,"flags":${JSON.stringify(parts.flags)}`
    const policy = parts.policy === null ? '' : `,"policy":${JSON.stringify(parts.policy)}`
    const reasons = reasonsOf(parts.reasons)
    const entities = `${flags}${shadowsOf(parts.shadows)}${policy}${reasons},"entities":{${entitiesOf(parts.entities)}}`
    const place = `,"position":{"topic":${stringText(position.topic)},"partition":${position.partition},"offset":${position.offset}}}}`
    return head + time + cause + money + judged + featuresOf(parts.values) + entities + place
  }
}

function reasonsOf(reasons: ScoredParts['reasons']): string {
  if (reasons === null) return ''
  return typeof reasons === 'string' ? `,"reasonsUnavailable":"${reasons}"` : `,"reasons":${JSON.stringify(reasons)}`
}

/** As JSON has it: no minus zero, and null for what is no number. */
function numberText(value: number | null): string {
  return value === null || !Number.isFinite(value) ? 'null' : `${value}`
}

const plain = /^[\w .:@|/+-]*$/

function stringText(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
}

const head = new RegExp(
  String.raw`^\{"specversion":"1\.0","id":"([\w .:@|/+-]*)","type":"payment\.scored","source":"[^"\\]*","subject":"[^"\\]*",` +
    String.raw`"time":"[^"\\]*","dataschema":"urn:riverbank:payment\.scored:1","datacontenttype":"application/json",` +
    String.raw`"correlationid":"[^"\\]*","causationid":"[^"\\]*","data":\{"paymentId":"([^"\\]*)","customerId":"([^"\\]*)",`,
)

export interface ScoredHead {
  readonly eventId: string
  readonly paymentId: string
  readonly customerId: string
}

/** Whose score a text of {@link createScoredWriter} is, without parsing it; null for any other text. */
export function scoredHead(text: string): ScoredHead | null {
  const match = head.exec(text)
  return match === null ? null : { eventId: match[1] ?? '', paymentId: match[2] ?? '', customerId: match[3] ?? '' }
}
