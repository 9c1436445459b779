import { open } from 'node:fs/promises'
import type { z } from 'zod'
import { isRiverbankError } from '../../base/errors.ts'
import { modelFolder } from '../../scoring/rollout/generation.ts'
import { messageOf, ModelRefused, type RefusalReason } from './refusal.ts'

/** A model is code that decides about money: a file larger than its limit is refused. */
export const modelLimits = {
  modelBytesMax: 64 * 1024 * 1024,
  manifestBytesMax: 4 * 1024 * 1024,
  coversBytesMax: 16 * 1024 * 1024,
  registryBytesMax: 64 * 1024,
  /** Enough for lists of a hundred thousand ids. */
  policyBytesMax: 4 * 1024 * 1024,
} as const

/** Names come from configuration and requests; none may leave the folder of the models. */
export function checkedName(name: string): string {
  const parsed = modelFolder.shape.name.safeParse(name)
  if (!parsed.success) throw new ModelRefused('file_missing', `${JSON.stringify(name)} names no model`)
  return parsed.data
}

/** Reads at most `bytesMax`, even if the file grows meanwhile. */
export async function readLimited(path: string, bytesMax: number, missing: RefusalReason): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new ModelRefused(missing, `cannot open ${path}`, error)
  })
  try {
    const { size } = await file.stat()
    if (size > bytesMax) throw new ModelRefused('file_too_large', `${path}: ${size} bytes, at most ${bytesMax}`)
    const bytes = new Uint8Array(size)
    let read = 0
    while (read < size) {
      const { bytesRead } = await file.read(bytes, read, size - read, read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    return bytes.subarray(0, read)
  } catch (error) {
    if (isRiverbankError(error)) throw error
    throw new ModelRefused(missing, `cannot read ${path}`, error)
  } finally {
    await file.close()
  }
}

export function parseJson<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  reason: RefusalReason,
): z.infer<Schema> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new ModelRefused(reason, messageOf(error), error)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new ModelRefused(reason, issues.join('; '))
}
