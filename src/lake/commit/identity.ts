import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RiverbankError } from '../../base/errors.ts'
import { createFile, isErrno } from './durable.ts'

export const identityName = 'identity.json'
const identitySchema = z.object({ format: z.literal(1), id: z.uuid() })

/**
 * The lake's own id: random, made on the first call, and copied with the folder, so that a moved or restored lake stays
 * the same lake. `folder` holds the commits. Errors: `lake_corrupt`.
 */
export async function lakeIdentity(folder: string): Promise<string> {
  const known = await readIdentity(folder)
  if (known !== null) return known
  const id = randomUUID()
  const isFirst = await createFile(folder, identityName, `${JSON.stringify({ format: 1, id })}\n`)
  return isFirst ? id : ((await readIdentity(folder)) ?? id)
}

async function readIdentity(folder: string): Promise<string | null> {
  const path = join(folder, identityName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw new RiverbankError('lake_unreadable', `${path} cannot be read`, { cause: error, canRetry: true })
  }
  try {
    return identitySchema.parse(JSON.parse(text)).id
  } catch (cause) {
    throw new RiverbankError('lake_corrupt', `${path} is not what a writer of this lake writes`, { cause })
  }
}
