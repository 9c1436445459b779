import { outputTypes, type Decision, type ScoreData } from '../../scoring/output-events.ts'
import { scoreHead, type ScoreHead } from '../../scoring/scored-text.ts'
import type { LogRecord } from '../../ports/log.ts'
import { isRecord } from '../../base/record.ts'

/** An entry beside its value: its objects, its place in a list and in a map. */
const entryBytes = 512

/** A score with its aggregate and its event. */
export interface FoundScore {
  readonly aggregateId: string
  readonly eventId: string
  readonly data: ScoreData
}

/** The fields of a log record that this module reads. */
export type ScoreRecord = Pick<LogRecord, 'partition' | 'offset' | 'value'>

/**
 * A score as the log has it. Few scores are ever read, so each read parses the score anew: the entry holds only what
 * {@link bytes} counts. Our own processors write scores, so their shape is not checked.
 */
export class ScoreEntry implements ScoreHead {
  readonly partition: number
  readonly offset: number
  readonly id: string
  readonly type: string
  readonly aggregateId: string
  readonly eventId: string
  /** The CloudEvent: the record's bytes, in the record's memory. */
  readonly value: Uint8Array
  /** Undefined until the first read. */
  #decision: Decision | null | undefined

  constructor({ partition, offset, value }: ScoreRecord, head: ScoreHead) {
    this.partition = partition
    this.offset = offset
    this.id = ownText(head.id)
    this.type = ownText(head.type)
    this.aggregateId = ownText(head.aggregateId)
    this.eventId = ownText(head.eventId)
    this.value = value
  }

  /** The memory of the entry, about. */
  get bytes(): number {
    return entryBytes + this.value.length
  }

  /** Null if the record is unreadable. */
  get score(): FoundScore | null {
    return scoreIn(this.value)
  }

  /** Null if the record is unreadable. Every stream reads it. */
  get decision(): Decision | null {
    if (this.#decision === undefined) this.#decision = this.score?.data.decision ?? null
    return this.#decision
  }

  /** The CloudEvent as it is in the log, as one line of JSON. */
  get json(): string {
    const text = utf8.decode(this.value)
    return /[\r\n]/.test(text) ? JSON.stringify(parse(text)) : text
  }
}

const pieceBytes = 65_536

/**
 * Copies records out of the memory that they share with everything read beside them, which they would keep alive. A few
 * records share a piece, because an allocation for each costs more than the copy.
 */
export function inOwnMemory(records: readonly ScoreRecord[]): ScoreRecord[] {
  let left = 0
  for (const { value } of records) left += value.length
  let piece = Buffer.alloc(0)
  let used = 0
  return records.map(({ partition, offset, value }) => {
    if (used + value.length > piece.length) {
      piece = Buffer.allocUnsafeSlow(Math.max(value.length, Math.min(pieceBytes, left)))
      used = 0
    }
    const own = piece.subarray(used, used + value.length)
    own.set(value)
    used += value.length
    left -= value.length
    return { partition, offset, value: own }
  })
}

/** Copies a regular expression's match, which is a view into the searched text and would keep all of it. */
function ownText(part: string): string {
  return Buffer.from(part).toString()
}

const utf8 = new TextDecoder()
/** A score that we wrote has everything before its data within so many bytes, unless its ids are very long. */
const headBytes = 768

/** The score in the bytes of a record; null when they cannot be read. */
export function scoreIn(value: Uint8Array): FoundScore | null {
  const event = parse(utf8.decode(value))
  const head = event === null ? null : headOf(event)
  return head === null ? null : { aggregateId: head.aggregateId, eventId: head.eventId, data: head.data }
}

/** The members of a CloudEvent that this module reads; none is checked. */
interface OutputEvent {
  readonly id?: unknown
  readonly type?: unknown
  readonly subject?: unknown
  readonly causationid?: unknown
  readonly data?: unknown
}

/** Null for another event: every score has its cause and its decision. */
function headOf({
  id,
  type,
  subject,
  causationid,
  data,
}: OutputEvent): (ScoreHead & { readonly data: ScoreData }) | null {
  if (typeof id !== 'string' || typeof type !== 'string' || typeof subject !== 'string') return null
  if (typeof causationid !== 'string' || !isScore(data)) return null
  return { id, type, aggregateId: subject, eventId: causationid, data }
}

/** Only our processors write scores: a decision identifies one. */
function isScore(data: unknown): data is ScoreData {
  return isRecord(data) && typeof data['decision'] === 'string'
}

/**
 * An event that the processor applied without a score: its type has none, none could be computed for it, or it is a
 * label that counts nowhere.
 */
export interface ObservedEntry {
  readonly aggregateId: string
  readonly eventId: string
  /** The position of such a label; null for an applied event. */
  readonly uncountedAt: { readonly partition: number; readonly offset: number } | null
}

/** null for an event of another type. `types`: of scores. */
export function readScore(
  record: ScoreRecord,
  types: ReadonlySet<string>,
): ScoreEntry | ObservedEntry | 'unreadable' | null {
  const written = scoreHead(utf8.decode(record.value.subarray(0, headBytes)))
  if (written !== null && types.has(written.type)) return new ScoreEntry(record, written)
  const event = parse(utf8.decode(record.value))
  if (typeof event?.type !== 'string') return 'unreadable'
  const { subject, data } = event
  if (event.type === outputTypes.observed) {
    if (typeof subject !== 'string' || !isRecord(data)) return null
    const { observedId: eventId, entities, position } = data
    return typeof eventId === 'string'
      ? { aggregateId: subject, eventId, uncountedAt: uncountedPlace(entities, position) }
      : null
  }
  if (!types.has(event.type)) return null
  const head = headOf(event)
  return head === null ? 'unreadable' : new ScoreEntry(record, head)
}

function uncountedPlace(entities: unknown, position: unknown): ObservedEntry['uncountedAt'] {
  if (!isRecord(entities) || !isRecord(position)) return null
  const outcomes = Object.values(entities).map((entity) => (isRecord(entity) ? entity['outcome'] : null))
  const isUncounted = outcomes.some((outcome) => outcome === 'unknown_subject' || outcome === 'contradicts_subject')
  const { partition, offset } = position
  return isUncounted && typeof partition === 'number' && typeof offset === 'number' ? { partition, offset } : null
}

function parse(text: string): OutputEvent | null {
  try {
    const json: unknown = JSON.parse(text)
    return isRecord(json) ? json : null
  } catch {
    return null
  }
}
