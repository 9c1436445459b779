import { keyAndHeadersOf } from './dead-letter.ts'
import { attemptsHeader } from '../../events/codec/resent-record.ts'
import type { DeadLetter } from '../../scoring/output-events.ts'
import { historyHeader } from '../../events/event-time.ts'
import type { ExactHeader } from '../../events/codec/record-parts.ts'
import type { OutgoingRecord } from '../../ports/log.ts'

/** The record to the byte, headers in their order, but for the number of tries and what `historyFrom` opens. */
export function replayOf(letter: DeadLetter, historyFrom?: string): OutgoingRecord {
  const { key, headers, exact } = keyAndHeadersOf(letter)
  const added = {
    [attemptsHeader]: String(letter.attempts),
    ...(historyFrom === undefined ? {} : { [historyHeader]: historyFrom }),
  }
  const { topic, partition } = letter.position
  const record = { topic, partition, key: key ?? '', value: Buffer.from(letter.value, 'base64') }
  if (exact === undefined && key !== null) return { ...record, headers: { ...headers, ...added } }
  const { headers: list, isValueNull } = exact ?? { headers: pairsOf(headers), isValueNull: false }
  const others = list.filter(([name]) => !Object.hasOwn(added, Buffer.from(name).toString()))
  const pairs = [...others, ...pairsOf(added)]
  return { ...record, exact: { key: exact?.key ?? null, headers: pairs, isValueNull } }
}

function pairsOf(headers: Readonly<Record<string, string>>): ExactHeader[] {
  return Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])
}
