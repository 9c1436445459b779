import { RiverbankError } from '../../base/errors.ts'
import type { FileEntry } from './commit.ts'
import { digestFile, isErrno } from './durable.ts'
import type { Lake, Snapshot } from './lake.ts'

export interface Damage {
  readonly path: string
  /** `unreadable`: the disk does not give its bytes (a bad sector), or it is no file. */
  readonly kind: 'missing' | 'wrong_size' | 'wrong_checksum' | 'unreadable'
}

export interface DamageOptions {
  /** Aborted: no further file is begun, and the answer is what was found so far. */
  readonly signal?: AbortSignal
  /** Called after each file, with its damage. */
  readonly onFile?: (file: FileEntry, damage: Damage | null) => void
}

/** Files read at the same time: one is hashed while the next one comes from the disk. */
const filesAtOnce = 2

/**
 * Compares files with their checksums: a Parquet file with a flipped bit can answer other sums in silence. Files are
 * streamed. Errors: `lake_unreadable` (canRetry) where the lake as a whole cannot be read.
 */
export async function findDamage(
  lake: Pick<Lake, 'pathOf'>,
  files: readonly FileEntry[],
  { signal, onFile }: DamageOptions = {},
): Promise<readonly Damage[]> {
  const found = new Map<FileEntry, Damage>()
  const left = files.values()
  const work = async () => {
    for (const file of left) {
      if (signal?.aborted === true) return
      const damage = await damageOf(lake, file)
      if (damage !== null) found.set(file, damage)
      onFile?.(file, damage)
    }
  }
  await Promise.all(Array.from({ length: filesAtOnce }, work))
  return files.flatMap((file) => found.get(file) ?? [])
}

/** Null for a file that matches the manifest. */
async function damageOf(lake: Pick<Lake, 'pathOf'>, file: FileEntry): Promise<Damage | null> {
  const { path } = file
  try {
    const { bytes, sha256 } = await digestFile(lake.pathOf(file))
    if (bytes !== file.bytes) return { path, kind: 'wrong_size' }
    return sha256 === file.sha256 ? null : { path, kind: 'wrong_checksum' }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { path, kind: 'missing' }
    if (isUnreadable(error)) return { path, kind: 'unreadable' }
    throw new RiverbankError('lake_unreadable', `${lake.pathOf(file)} cannot be read`, { cause: error, canRetry: true })
  }
}

/** The file's own fault: others on the same disk can be read. */
export function isUnreadable(error: unknown): boolean {
  return isErrno(error, 'EIO') || isErrno(error, 'EISDIR')
}

/** The result, or the damage: then the work did not run, or the caller must discard its result. */
export type WholeResult<Result> =
  | { readonly kind: 'whole'; readonly result: Result }
  | { readonly kind: 'damaged'; readonly damages: readonly Damage[] }

/**
 * Makes something of files whose bytes are those of the manifest. Computes checksums before the work, so that damage is
 * named early, and once more after it: a file is never changed in place, so equal checksums on both sides hold for the
 * bytes in between. Nobody uses the result until then. `stillNamed` leaves out what is no damage after work that ended
 * well.
 */
export async function withWholeFiles<Result>(
  lake: Pick<Lake, 'pathOf'>,
  files: readonly FileEntry[],
  work: () => Promise<Result>,
  stillNamed: (damages: readonly Damage[]) => Promise<readonly Damage[]> = (damages) => Promise.resolve(damages),
): Promise<WholeResult<Result>> {
  const before = await findDamage(lake, files)
  if (before.length > 0) return { kind: 'damaged', damages: before }
  const [worked] = await Promise.allSettled([work()])
  const after = await findDamage(lake, files)
  if (worked.status === 'rejected') {
    if (after.length === 0) throw worked.reason
    return { kind: 'damaged', damages: after }
  }
  const damages = after.length === 0 ? after : await stillNamed(after)
  if (damages.length > 0) return { kind: 'damaged', damages }
  return { kind: 'whole', result: worked.value }
}

const namedMax = 5

/**
 * For readers that need every file and every row of a snapshot while others merge and delete. Errors: `lake_corrupt`,
 * which names the first files, `lake_moved` (canRetry) where files were merged and deleted before they were read, and
 * `lake_lost` where positions were declared lost: what is made of the rest would lack them in silence.
 */
export async function onlyFromWhole<Result>(
  lake: Pick<Lake, 'pathOf' | 'log'>,
  { files, lost }: Pick<Snapshot, 'files' | 'lost'>,
  work: () => Promise<Result>,
): Promise<Result> {
  refuseLost(lost)
  const made = await withWholeFiles(lake, files, work, (damages) => withoutDeleted(lake, damages))
  if (made.kind === 'whole') return made.result
  const damages = await withoutDeleted(lake, made.damages)
  if (damages.length > 0) throw damagedError(damages)
  const why = `${made.damages.length} files were merged and deleted before they were read: run it again`
  throw new RiverbankError('lake_moved', why, { canRetry: true })
}

/** Opens files by their own metadata, before anybody compares checksums; where that fails, names the damage. */
export async function openFiles<Opened>(
  lake: Pick<Lake, 'pathOf' | 'log'>,
  { files }: Pick<Snapshot, 'files'>,
  open: () => Promise<Opened>,
): Promise<Opened> {
  try {
    return await open()
  } catch (error) {
    const damages = await withoutDeleted(lake, await findDamage(lake, files))
    if (damages.length > 0) throw damagedError(damages)
    throw error
  }
}

/** Leaves out files that the newest version no longer names: they were merged, and are deleted from disk later. */
async function withoutDeleted(lake: Pick<Lake, 'log'>, damages: readonly Damage[]): Promise<readonly Damage[]> {
  const { files } = await lake.log.refresh()
  return damages.filter(({ path, kind }) => kind !== 'missing' || files.has(path))
}

/** Nothing lacks a lost unreadable record: it counts nowhere. */
function refuseLost(lost: Snapshot['lost']): void {
  const missed = lost.filter(({ table }) => table !== 'unreadable')
  const [first] = missed
  if (first === undefined) return
  const { topic, partition, firstOffset, lastOffset } = first
  const more = missed.length > 1 ? ` and ${missed.length - 1} more` : ''
  const where = `${topic} partition ${partition} offsets ${firstOffset} to ${lastOffset}${more}`
  const what = `the lake lacks ${where}, declared lost: riverbank lake repair reads them again where the log has them`
  throw new RiverbankError('lake_lost', what)
}

export function damagedError(damages: readonly Damage[]): RiverbankError {
  const named = damages.slice(0, namedMax).map(({ path, kind }) => `${path} (${kind})`)
  const more = damages.length > namedMax ? ` and ${damages.length - namedMax} more` : ''
  return new RiverbankError('lake_corrupt', `damaged files: ${named.join(', ')}${more}: see riverbank lake check`)
}
