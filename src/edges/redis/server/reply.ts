/*
 * Reads replies in the form that their command, or a script of ours, promises. Another form comes from a server other
 * than Redis, or from a mistake in the script, and throws.
 */

export function bufferIn(reply: unknown): Buffer {
  return Buffer.isBuffer(reply) ? reply : unexpected(reply, 'bytes')
}

export function bufferOrNullIn(reply: unknown): Buffer | null {
  return reply === null ? null : bufferIn(reply)
}

export function integerIn(reply: unknown): number {
  return typeof reply === 'number' ? reply : unexpected(reply, 'an integer')
}

export function listIn(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : unexpected(reply, 'a list')
}

export function buffersIn(reply: unknown): Buffer[] {
  return listIn(reply).map(bufferIn)
}

/** The text of bytes, an integer or a text; empty for null. */
export function textIn(reply: unknown): string {
  if (typeof reply === 'string') return reply
  return typeof reply === 'number' ? String(reply) : (bufferOrNullIn(reply)?.toString() ?? '')
}

export function textsIn(reply: unknown): string[] {
  return listIn(reply).map(textIn)
}

function unexpected(reply: unknown, wanted: string): never {
  throw new Error(`redis answers ${reply === null ? 'nothing' : typeof reply} where ${wanted} belongs`)
}
