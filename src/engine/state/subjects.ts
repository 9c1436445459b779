import { hashEventId, type EventIdHash } from '../../events/event-id-hash.ts'
import { hourMs } from '../../base/units.ts'
import { subjectsMax } from '../limits.ts'

/**
 * The events of its entity that can be labelled, as the partition-key entity remembers them: in the order in which they
 * were applied, so that SQL can tell which ones they are. One array, because a state has few objects or is slow.
 */
export interface Subjects {
  /** For each subject the signed halves of its {@link subjectHash}, its fingerprint, and the hour of its time. */
  numbers: number[]
  /** Hours since the epoch of the newest time of all subjects so far; null before the first. */
  newestHour: number | null
}

const width = 4
const at = { high: 0, low: 1, fingerprint: 2, hour: 3 } as const

/** Shared by the states that remember none. */
export const noSubjects: Subjects = { numbers: [], newestHour: null }

export function copyOfSubjects({ numbers, newestHour }: Subjects): Subjects {
  return { numbers: numbers.slice(), newestHour }
}

/** How many subjects the array holds. */
export function subjectCount({ numbers }: Subjects): number {
  return numbers.length / width
}

/** `hours` is how far back labels reach. It forgets older subjects only at the front of the array. */
export function rememberSubject(
  subjects: Subjects,
  { high, low }: EventIdHash,
  fingerprint: number,
  timeMs: number,
  hours: number,
): void {
  const { numbers } = subjects
  const hour = Math.floor(timeMs / hourMs)
  const newestHour = Math.max(subjects.newestHour ?? hour, hour)
  subjects.newestHour = newestHour
  numbers.push(high | 0, low | 0, fingerprint, hour)
  let forgotten = Math.max(0, numbers.length / width - subjectsMax)
  while ((numbers[forgotten * width + at.hour] ?? newestHour) <= newestHour - hours) forgotten += 1
  if (forgotten > 0) numbers.splice(0, forgotten * width)
}

/**
 * The fingerprint of the subject with this id, null when it is not known: it was never applied, or is more than `hours`
 * older than the newest subject, or was followed by {@link subjectsMax} others. Of two with one id the later one.
 */
export function fingerprintOf({ numbers, newestHour }: Subjects, hash: EventIdHash, hours: number): number | null {
  const [high, low] = [hash.high | 0, hash.low | 0]
  for (let i = numbers.length - width; i >= 0; i -= width) {
    if (numbers[i + at.high] !== high || numbers[i + at.low] !== low) continue
    const isWithin = newestHour !== null && (numbers[i + at.hour] ?? NaN) > newestHour - hours
    return isWithin ? (numbers[i + at.fingerprint] ?? NaN) : null
  }
  return null
}

/** Names a subject: one id in two types names two. Both hashes are as good as random, and so is their XOR. */
export function subjectHash(type: EventIdHash, id: EventIdHash): EventIdHash {
  return { high: (type.high ^ id.high) >>> 0, low: (type.low ^ id.low) >>> 0 }
}

/** 32 bits of what a label repeats of its subject: two different texts agree once in 4 billion times. */
export function fingerprint(values: readonly unknown[]): number {
  return hashEventId(JSON.stringify(values)).low | 0
}
