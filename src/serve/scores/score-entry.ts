import { outputTypes, type Decision, type ScoreData } from '../../scoring/output-events.ts'
import { scoreHead, type ScoreHead } from '../../scoring/scored-text.ts'
import type { LogRecord } from '../../ports/log.ts'
import { isRecord } from '../../base/record.ts'

/** An entry beside its value: its objects, its place in a list and in a map. */
const entryBytes = 512

/** A score, and whose it is: the aggregate and the event that was scored. */
export interface FoundScore {
  readonly aggregateId: string
  readonly eventId: string
  readonly data: ScoreData
}

/** What of a log's record is read here. */
export type ScoreRecord = Pick<LogRecord, 'partition' | 'offset' | 'value'>

/**
 * A score as the log has it. Most are never asked for, so they are parsed when they are, and again when they are asked for
 * again: what is held is what {@link bytes} says. Scores are written by our own processors, and their shape is not checked.
 */
export class ScoreEntry implements ScoreHead {
  readonly partition: number
  readonly offset: number
  readonly id: string
  readonly type: string
  readonly aggregateId: string
  readonly eventId: string
  /** The record's bytes, in its memory: the CloudEvent. */
  readonly value: Uint8Array
  /** Undefined until somebody asks. */
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

  /** Memory that the entry takes, about. */
  get bytes(): number {
    return entryBytes + this.value.length
  }

  /** Null when the record turns out to be unreadable. */
  get score(): FoundScore | null {
    return scoreIn(this.value)
  }

  /** Null when the record turns out to be unreadable. Asked by every stream. */
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
 * A record shares the memory of all that was read with it, and what is held longer would hold that too. Here a few records
 * share a piece, because memory of its own costs each of them more than the copy.
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

/** What a regular expression found is a view into the text that was searched, and would keep all of it. */
function ownText(part: string): string {
  return Buffer.from(part).toString()
}

const utf8 = new TextDecoder()
/** Of a score as we write it, everything up to its data, unless its ids are very long. */
const headBytes = 768

/** The score in the bytes of a record; null when they cannot be read. */
export function scoreIn(value: Uint8Array): FoundScore | null {
  const event = parse(utf8.decode(value))
  const head = event === null ? null : headOf(event)
  return head === null ? null : { aggregateId: head.aggregateId, eventId: head.eventId, data: head.data }
}

/** What of a CloudEvent is read here; nothing of it was checked. */
interface OutputEvent {
  readonly id?: unknown
  readonly type?: unknown
  readonly subject?: unknown
  readonly causationid?: unknown
  readonly data?: unknown
}

/** Null where it is no score: every one says its cause and its decision. */
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

/** A processor of ours wrote it: what it decided says what it is. */
function isScore(data: unknown): data is ScoreData {
  return isRecord(data) && typeof data['decision'] === 'string'
}

/**
 * An event that a state was told and that has no score: none of its type has one, none could be found for it, or it is a
 * label that counts nowhere.
 */
export interface ObservedEntry {
  readonly aggregateId: string
  readonly eventId: string
  /** Where such a label stands; null for what was applied. */
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
