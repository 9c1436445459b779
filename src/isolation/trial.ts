import { z } from 'zod'
import { isRiverbankError } from '../base/errors.ts'
import type { RecordFault } from '../events/codec/record-parts.ts'
import type { PartitionAssignment } from '../ports/log.ts'
import type { StateStore } from '../ports/states.ts'

/** How much of the handling of a record is left out, because it failed: its score, or all but its dead letter. */
export interface Blame extends RecordFault {
  readonly leaveOut: 'score' | 'everything'
}

/** Tries of one record alone; the next leaves out its score, the one after that everything. */
const triesMax = 2

const markSchema = z.object({
  /** Where the assignment began, and how many in a row have begun there. */
  position: z.number().int(),
  begins: z.number().int(),
  /** The record that was handled alone when the mark was written, and which try that was. */
  record: z.object({ offset: z.number().int(), tries: z.number().int() }).optional(),
  /** A process ended while it wrote together what it had read one by one. */
  diedTogether: z.boolean().optional(),
})
type Mark = z.infer<typeof markSchema>
/** What keeps the marks: the store metadata. */
export type StoreMetadata = Pick<StateStore, 'metadata' | 'replaceMetadata'>

/** A mark per partition and role: what one role dies of is no other role's business. */
export function markName(
  role: 'process' | 'materialize',
  { topic, partition }: Pick<PartitionAssignment, 'topic' | 'partition'>,
) {
  return `trial:${role === 'process' ? '' : `${role}:`}${topic}/${partition}`
}

/**
 * What is known, beside the states, of the assignments before this one: a crash leaves nothing else behind. An
 * assignment leaves a mark when it begins, and takes it back when it gets on or ends well. The next one that finds a
 * mark at its own position, or the mark of a record alone, handles records one by one, and leaves a mark before each: a
 * record under which the process died twice, alone, is blamed. A kill at any other moment, and an outage that the
 * process lives to see, blames nobody.
 */
export class Trial {
  readonly #storeMetadata: StoreMetadata
  readonly #name: string
  readonly #position: number
  readonly #begins: number
  readonly #before: Mark['record']
  readonly #diedTogether: boolean
  #text: string | null

  private constructor(storeMetadata: StoreMetadata, name: string, position: number, found: string | null) {
    this.#storeMetadata = storeMetadata
    this.#name = name
    this.#text = found
    this.#position = position
    const mark = markOf(found)
    const isHere = mark?.position === position
    this.#begins = isHere ? mark.begins + 1 : 1
    this.#before = mark?.record
    // Records that were written alone move the position, up to the one that was not.
    const isNear = isHere || (mark?.record?.offset ?? -1) >= position
    this.#diedTogether = isNear && mark?.diedTogether === true
  }

  static async begin(storeMetadata: StoreMetadata, name: string, position: number): Promise<Trial> {
    const trial = new Trial(storeMetadata, name, position, await storeMetadata.metadata(name))
    await trial.#leave({ diedTogether: trial.#diedTogether })
    return trial
  }

  /** An earlier assignment began here and did not get on, or one handled a record alone. */
  get isSuspicious(): boolean {
    return this.#begins > 1 || this.#before !== undefined
  }

  /** A process ended while it wrote together what it had read one by one: now each record is written by itself. */
  get diedTogether(): boolean {
    return this.#diedTogether
  }

  /** Call it before a record is handled alone. Answers the blame for what happened when it was. */
  async tryAlone(offset: number): Promise<Blame | null> {
    const died = this.#before?.offset === offset ? this.#before.tries : 0
    await this.#leave({ record: { offset, tries: died + 1 }, diedTogether: this.#diedTogether })
    if (died < triesMax) return null
    const detail = `the process ended ${died} times while it handled this record alone`
    return { code: 'processing_crashed', detail, leaveOut: died === triesMax ? 'score' : 'everything' }
  }

  /** Call it before records that were read one by one are written together. */
  async tryTogether(): Promise<void> {
    await this.#leave({ diedTogether: true })
  }

  /** The assignment got on, or ends with this process alive. */
  async end(): Promise<void> {
    if (this.#text !== null) await this.#replace(null)
  }

  async #leave(rest: Pick<Mark, 'record' | 'diedTogether'>): Promise<void> {
    const { record, diedTogether } = rest
    const mark: Mark = { position: this.#position, begins: this.#begins }
    if (record !== undefined) mark.record = record
    if (diedTogether === true) mark.diedTogether = true
    await this.#replace(JSON.stringify(mark))
  }

  async #replace(text: string | null): Promise<void> {
    // If it is not ours any more, another member holds the partition, and its mark stays.
    await this.#storeMetadata.replaceMetadata(this.#name, this.#text, text)
    this.#text = text
  }
}

function markOf(text: string | null): Mark | null {
  if (text === null) return null
  const mark = markSchema.safeParse(JSON.parse(text))
  return mark.success ? mark.data : null
}

/** Codes of edges' errors that are a record's fault. */
const ofRecords: ReadonlySet<string> = new Set(['record_too_large', 'lake_rows_refused', 'handler_stalled'])

/**
 * Whether a record may have made the handling fail. All that servers can do to us is a `RiverbankError`, and what the
 * system refuses has its number: an outage is never taken for a bad record.
 */
export function mayBeRecords(error: unknown): boolean {
  if (isRiverbankError(error)) return ofRecords.has(error.code)
  return error instanceof Error && !('errno' in error) && !('syscall' in error) && error.name !== 'AbortError'
}

/** What each further attempt leaves out of a record that fails alone; null when nothing is left to leave out. */
export function blameAfter(failures: number, error: unknown): Blame | null {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  if (failures === triesMax) return { code: 'scoring_failed', detail, leaveOut: 'score' }
  if (failures === triesMax + 1) return { code: 'processing_failed', detail, leaveOut: 'everything' }
  return null
}
