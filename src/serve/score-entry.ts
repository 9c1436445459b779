import { emittedTypes, type PaymentScored } from '../core/emitted.ts'
import { scoredHead, type ScoredHead } from '../core/scored-text.ts'
import type { LogRecord } from '../ports.ts'

/**
 * A score as the log has it. Most are never asked for, so they are parsed when they are; scores are written by our own
 * processors, and their shape is not checked.
 */
export class ScoreEntry implements ScoredHead {
  readonly partition: number
  readonly offset: number
  readonly eventId: string
  readonly paymentId: string
  readonly customerId: string
  readonly #value: Uint8Array
  /** Undefined until somebody asks, null when the text is no JSON after all. */
  #event: { readonly data: PaymentScored } | null | undefined

  constructor({ partition, offset, value }: LogRecord, head: ScoredHead) {
    this.partition = partition
    this.offset = offset
    this.eventId = head.eventId
    this.paymentId = head.paymentId
    this.customerId = head.customerId
    this.#value = value
  }

  /** Null when the record turns out to be unreadable. */
  get score(): PaymentScored | null {
    if (this.#event === undefined) {
      const parsed = parse(utf8.decode(this.#value))
      this.#event = parsed === null ? null : (parsed as { readonly data: PaymentScored })
    }
    return this.#event?.data ?? null
  }

  /** The CloudEvent as it is in the log, as one line of JSON. */
  get json(): string {
    const text = utf8.decode(this.#value)
    return /[\r\n]/.test(text) ? JSON.stringify(parse(text)) : text
  }
}

const utf8 = new TextDecoder()
/** Of a score as we write it, everything up to its customer, unless its ids are very long. */
const headBytes = 768

/** null for an event of another type. */
export function readScore(record: LogRecord): ScoreEntry | 'unreadable' | null {
  const written = scoredHead(utf8.decode(record.value.subarray(0, headBytes)))
  if (written !== null) return new ScoreEntry(record, written)
  const event = parse(utf8.decode(record.value)) as {
    id?: unknown
    type?: unknown
    data?: Partial<PaymentScored>
  } | null
  if (typeof event !== 'object' || event === null || typeof event.type !== 'string') return 'unreadable'
  if (event.type !== emittedTypes.scored) return null
  const { id, data } = event
  if (typeof id !== 'string' || typeof data?.paymentId !== 'string' || typeof data.customerId !== 'string') {
    return 'unreadable'
  }
  return new ScoreEntry(record, { eventId: id, paymentId: data.paymentId, customerId: data.customerId })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
