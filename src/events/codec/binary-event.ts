import { eventLimits } from '../envelope.ts'
import { invalid, type EventResult } from '../decode-event.ts'

type Headers = Readonly<Record<string, string>>

/** How a protocol carries an event in binary mode: a header per attribute, and the data alone as the body. */
export interface BinaryBinding {
  readonly prefix: 'ce-' | 'ce_'
  /** The value of a header as text; null when it is not spelled as the binding spells it. */
  readonly read: (header: string) => string | null
}

/** Over Kafka headers are UTF-8 as they are. */
export const kafkaBinding: BinaryBinding = { prefix: 'ce_', read: (header) => header }

/** Over HTTP they may stand in quotes, and everything but printable ASCII is percent-encoded UTF-8. */
export const httpBinding: BinaryBinding = { prefix: 'ce-', read: readHttpHeader }

/** A content type that says structured mode (or batched) wins over attributes in headers. */
export function isBinaryMode(headers: Headers, { prefix }: BinaryBinding): boolean {
  if (headers[`${prefix}specversion`] === undefined) return false
  return !/^\s*application\/cloudevents/i.test(headers['content-type'] ?? '')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The event as structured mode would spell it, not validated yet. Total. */
export function readBinaryEvent(
  headers: Headers,
  body: Uint8Array,
  binding: BinaryBinding,
): { readonly kind: 'read'; readonly json: Readonly<Record<string, unknown>> } | (EventResult & { kind: 'invalid' }) {
  if (body.length > eventLimits.maxBytes) {
    return invalid('event_too_large', `${body.length} bytes, at most ${eventLimits.maxBytes} are accepted`)
  }
  const { prefix, read } = binding
  const attributes = new Map<string, unknown>()
  for (const [header, value] of Object.entries(headers)) {
    const name = header.slice(prefix.length)
    if (!header.startsWith(prefix) || !/^[a-z0-9]+$/.test(name) || name === 'data') continue
    const text = read(value)
    if (text === null) return invalid('invalid_envelope', `${header}: write UTF-8, percent-encoded`)
    attributes.set(name, text)
  }
  attributes.set('datacontenttype', headers['content-type'])
  const id = attributes.get('id')
  const eventId = typeof id === 'string' && id.length <= eventLimits.maxIdLength ? id : undefined
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    return invalid('undecodable_bytes', 'the bytes are not UTF-8', eventId)
  }
  try {
    const data: unknown = JSON.parse(text)
    return { kind: 'read', json: { ...Object.fromEntries(attributes), data } }
  } catch (error) {
    return invalid('invalid_json', error instanceof Error ? error.message : 'not JSON', eventId)
  }
}

function readHttpHeader(header: string): string | null {
  if (!/^[\t\x20-\x7e]*$/.test(header)) return null
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(header)?.[1]
  const text = quoted === undefined ? header : quoted.replaceAll(/\\(.)/g, '$1')
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
