import { z } from 'zod'
import { isRiverbankError } from '../core/errors.ts'
import type { RecordFault } from '../core/record-parts.ts'
import type { Claim, StateStore } from '../ports.ts'

/** How much of the handling of a record is left out, because it failed: its score, or all but its dead letter. */
export interface Blame extends RecordFault {
  readonly leaveOut: 'score' | 'everything'
}

/** Of one record alone. With the next try it is blamed, and then blamed more. */
const triesMax = 2

const markSchema = z.object({
  /** Where the claim began, and how many claims in a row began there and did not get on. */
  position: z.number().int(),
  begins: z.number().int(),
  /** The record that was handled alone when the mark was written, and the how manyth time. */
  record: z.object({ offset: z.number().int(), tries: z.number().int() }).optional(),
})
type Mark = z.infer<typeof markSchema>
type Memos = Pick<StateStore, 'memo' | 'replaceMemo'>

/**
 * What is known of a claim whose predecessors died, beside the states: a crash leaves nothing else behind. A claim leaves a
 * mark when it begins, and takes it back with its first commit or its end. Who finds two marks at its own position
 * handles records one by one, and leaves a mark before each: a record under which the process died twice, alone, is
 * blamed. A kill at any other moment, and an outage that the process lives to see, blames nobody.
 */
export class Trial {
  readonly #store: Memos
  readonly #name: string
  readonly #position: number
  readonly #begins: number
  readonly #before: Mark['record']
  #text: string | null

  private constructor(store: Memos, name: string, position: number, found: string | null) {
    this.#store = store
    this.#name = name
    this.#text = found
    this.#position = position
    const mark = markOf(found)
    this.#begins = mark?.position === position ? mark.begins + 1 : 1
    this.#before = mark?.record
  }

  static async begin(
    store: Memos,
    { topic, partition }: Pick<Claim, 'topic' | 'partition'>,
    position: number,
  ): Promise<Trial> {
    const name = `trial:${topic}/${partition}`
    const trial = new Trial(store, name, position, await store.memo(name))
    await trial.#leave({ position, begins: trial.#begins })
    return trial
  }

  /** Two attempts from here died. */
  get isSuspicious(): boolean {
    return this.#begins > 1 || this.#before !== undefined
  }

  /** Before a record is handled alone. Answers whom to blame for what happened when it was. */
  async tryAlone(offset: number): Promise<Blame | null> {
    const died = this.#before?.offset === offset ? this.#before.tries : 0
    await this.#leave({ position: this.#position, begins: this.#begins, record: { offset, tries: died + 1 } })
    if (died < triesMax) return null
    const detail = `the process ended ${died} times while it handled this record alone`
    return { code: 'processing_crashed', detail, leaveOut: died === triesMax ? 'score' : 'everything' }
  }

  /** The claim got on, or ends with this process alive. */
  async end(): Promise<void> {
    if (this.#text !== null) await this.#leave(null)
  }

  async #leave(mark: Mark | null): Promise<void> {
    const text = mark === null ? null : JSON.stringify(mark)
    // Where it is not ours any more, another member has the partition, and its mark stands.
    await this.#store.replaceMemo(this.#name, this.#text, text)
    this.#text = text
  }
}

function markOf(text: string | null): Mark | null {
  if (text === null) return null
  const mark = markSchema.safeParse(JSON.parse(text))
  return mark.success ? mark.data : null
}

/**
 * Whether it may be a record that made the handling fail. All that other sides can do to us is a `RiverbankError`, and
 * what the system refuses has its number: an outage is never taken for a bad record.
 */
export function mayBeRecords(error: unknown): boolean {
  if (isRiverbankError(error)) return error.code === 'record_too_large'
  return error instanceof Error && !('errno' in error) && !('syscall' in error) && error.name !== 'AbortError'
}

/** What one attempt after the other leaves out of a record that fails alone; null when nothing is left to leave out. */
export function blameAfter(failures: number, error: unknown): Blame | null {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  if (failures === triesMax) return { code: 'scoring_failed', detail, leaveOut: 'score' }
  if (failures === triesMax + 1) return { code: 'processing_failed', detail, leaveOut: 'everything' }
  return null
}
