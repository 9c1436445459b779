import { eventLimits, idPattern } from '../envelope.ts'
import { fieldOf } from '../schema-fault.ts'

/** Keys that could reach a prototype, and nesting that could exhaust the stack. */
export function forbiddenKey(value: unknown, depth: number): string | null {
  if (typeof value !== 'object' || value === null) return null
  if (depth > eventLimits.maxKeyDepth) return `nested deeper than ${eventLimits.maxKeyDepth} levels`
  for (const [key, field] of Object.entries(value)) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') return `the key "${key}" is not accepted`
    const inner = forbiddenKey(field, depth + 1)
    if (inner !== null) return inner
  }
  return null
}

/** JSON can spell what UTF-8 cannot hold; two such ids would be one as soon as they are written down. */
export function isText(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null || depth > eventLimits.maxKeyDepth) return true
  for (const [key, inner] of Object.entries(value)) if (!key.isWellFormed() || !isText(inner, depth + 1)) return false
  return true
}

/** The event id that JSON names in either spelling, where it is one that an answer may repeat. */
export function idOf(json: unknown): string | undefined {
  return attributeOf(json, 'eventId', 'id')
}

/** The event type, likewise. */
export function typeOf(json: unknown): string | undefined {
  return attributeOf(json, 'eventType', 'type')
}

function attributeOf(json: unknown, ...spellings: readonly [string, string]): string | undefined {
  const [own, cloud] = spellings.map((name) => fieldOf(json, name))
  const found = own ?? cloud
  const isId = typeof found === 'string' && found.length <= eventLimits.maxIdLength && found.isWellFormed()
  return isId && idPattern.test(found) ? found : undefined
}
