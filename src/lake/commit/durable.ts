import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The few file operations that must survive a crash. Each returns when the disk has it. */

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Creates a folder and its parents; each new entry is synced in its parent. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let current = folder; ; current = dirname(current)) {
    await syncFolder(dirname(current))
    if (current === first || dirname(current) === current) return
  }
}

/** Size and sha256 (hex) of a file that was just written, after its bytes are on disk. */
export async function sealFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  return digestFile(path)
}

const chunkBytesMax = 1 << 20
const chunkBytesMin = 1 << 16

/**
 * Reads through one handle and one buffer of the file's size: most files are small, and each stream takes a megabyte.
 */
export async function digestFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytesMax, Math.max(chunkBytesMin, size)))
    const hash = createHash('sha256')
    let bytes = 0
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, null)
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') }
      hash.update(chunk.subarray(0, bytesRead))
      bytes += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** Writes a whole file under a name that nobody had: false when somebody has it. Never a partial file. */
export async function createFile(folder: string, name: string, text: string): Promise<boolean> {
  const staged = await stage(folder, name, text)
  try {
    if (!(await linkFile(staged, join(folder, name)))) return false
  } finally {
    await rm(staged, { force: true })
  }
  await syncFolder(folder)
  return true
}

/**
 * Gives a file a second name that nobody had: false when another file has it. A network file system that repeats its
 * request gets EEXIST although the first one made the name, so the file itself decides.
 */
export async function linkFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    return isSameFile(from, to)
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a, { bigint: true }), stat(b, { bigint: true })])
  return one.ino === other.ino && one.dev === other.dev
}

/** Writes a whole file, in place of the one that may be there. */
export async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  await exchangeFile(folder, name, text)
  await syncFolder(folder)
}

/** {@link replaceFile}, but a crash may bring the whole file back that was there before. */
export async function exchangeFile(folder: string, name: string, text: string): Promise<void> {
  const staged = await stage(folder, name, text)
  await rename(staged, join(folder, name))
}

async function stage(folder: string, name: string, text: string): Promise<string> {
  const staged = join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`)
  const handle = await open(staged, 'wx')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return staged
}

/** Copies a file and syncs it; answers the checksum of the bytes that it wrote, not of those on disk. */
export async function copyDurably(
  from: string,
  to: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  const handle = await open(to, 'w')
  try {
    const chunks: AsyncIterable<Buffer> = createReadStream(from, { highWaterMark: 1 << 20 })
    for await (const chunk of chunks) {
      hash.update(chunk)
      bytes += chunk.length
      await handle.writeFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { bytes, sha256: hash.digest('hex') }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
