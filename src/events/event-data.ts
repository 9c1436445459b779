import { isRecord } from '../base/record.ts'
import type { DomainEvent, EventData, EventType } from './event.ts'
import type { EventErrorCode } from './event-error-code.ts'
import { timeHint } from './event-time.ts'
import { explain, fieldOf } from './schema-fault.ts'

export type CurrentData =
  | { readonly kind: 'ok'; readonly value: EventData }
  | { readonly kind: 'fault'; readonly code: EventErrorCode; readonly detail: string }

/** The data of an event, checked and read as those of its type's current version. */
export function currentData(event: DomainEvent, type: EventType, nowMs: number): CurrentData {
  let version = event.version
  let value = event.data
  for (;;) {
    const step = Object.hasOwn(type.versions, version) ? type.versions[version] : undefined
    if (step === undefined) {
      return { kind: 'fault', code: 'unknown_event_version', detail: `${type.type} has no version ${version}` }
    }
    const parsed = step.schema.safeParse(value)
    if (!parsed.success) {
      const field = String(parsed.error.issues[0]?.path[0] ?? '')
      const sent = fieldOf(value, field)
      const hint = field === type.timestampField ? timeHint(sent, nowMs, 'milliseconds since 1970 are expected') : ''
      return { kind: 'fault', code: fieldCode(type, field, sent), detail: explain(parsed.error) + hint }
    }
    value = parsed.data
    if (version === type.currentVersion || step.upcast === undefined) {
      if (!isRecord(value)) return { kind: 'fault', code: 'invalid_data', detail: 'the data are no object' }
      return { kind: 'ok', value }
    }
    // What the version's own schema gave back: `defineEvent` pairs the two.
    value = step.upcast(value as never)
    version += 1
  }
}

function fieldCode({ fieldCodes }: EventType, field: string, sent: unknown): EventErrorCode {
  const code = Object.hasOwn(fieldCodes, field) ? fieldCodes[field] : undefined
  if (code === undefined || typeof code === 'string') return code ?? 'invalid_data'
  return sent === undefined || sent === null ? code.missing : code.invalid
}
