import { RiverbankError } from '../../base/errors.ts'
import type { ServeContext } from './route.ts'

const none: readonly Uint8Array[] = []
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The media type of the request, in lower case. Errors: `unsupported_media_type` if it is not in the list, for a
 * charset other than UTF-8, and for compressed bodies.
 */
export function requireMediaType(c: ServeContext, accepted: readonly string[]): string {
  const [type = '', ...parameters] = (c.req.header('content-type') ?? '').toLowerCase().split(';')
  const mediaType = type.trim()
  const encoding = c.req.header('content-encoding')?.toLowerCase() ?? 'identity'
  if (!accepted.includes(mediaType) || encoding !== 'identity') {
    throw new RiverbankError('unsupported_media_type', `send ${accepted.join(' or ')}, uncompressed`)
  }
  for (const parameter of parameters) {
    const [name, value] = parameter.trim().split('=')
    if (name === 'charset' && value?.replaceAll('"', '') !== 'utf-8') {
      throw new RiverbankError('unsupported_media_type', 'the charset must be utf-8')
    }
  }
  return mediaType
}

/** Reads the whole body, and keeps no byte beyond the limit. Errors: `body_too_large`, `body_unreadable`. */
export async function readBody(c: ServeContext, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () => new RiverbankError('body_too_large', `at most ${bytesMax} bytes are accepted`)
  const announced = c.req.header('content-length')
  try {
    if (announced !== undefined && c.req.header('transfer-encoding') === undefined) {
      // The HTTP parser enforces the announced length.
      if (!(Number(announced) <= bytesMax)) throw tooLarge()
      return new Uint8Array(await c.req.arrayBuffer())
    }
    const chunks: Uint8Array[] = []
    let length = 0
    const body: AsyncIterable<Uint8Array> | null = c.req.raw.body
    for await (const chunk of body ?? none) {
      length += chunk.length
      if (length > bytesMax) throw tooLarge()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof RiverbankError) throw error
    throw new RiverbankError('body_unreadable', 'the body ended before it was complete', { cause: error })
  }
}

/** Errors: `undecodable_bytes`, `invalid_json`. */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new RiverbankError('undecodable_bytes', 'the bytes are not UTF-8')
  }
  try {
    const json: unknown = JSON.parse(text)
    return json
  } catch (error) {
    throw new RiverbankError('invalid_json', error instanceof Error ? error.message : 'not JSON')
  }
}
