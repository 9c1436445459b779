import type { z } from 'zod'
import { isRecord } from '../base/record.ts'

/** What is wrong with JSON, as its schema says it: the first mistakes. */
export function explain(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`))
    .join('; ')
}

/** Whether one of the mistakes is in this field. */
export function isAbout({ issues }: z.ZodError, field: string): boolean {
  return issues.some(({ path }) => path[0] === field)
}

/** A field of JSON that may be anything. */
export function fieldOf(json: unknown, field: string): unknown {
  return isRecord(json) && Object.hasOwn(json, field) ? json[field] : undefined
}
