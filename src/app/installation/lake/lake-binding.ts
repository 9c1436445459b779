import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { names, stateLocation, type Config } from '../settings/config.ts'
import { openStateStore } from '../servers/event-log.ts'
import { lakeFolder } from './lake-folder.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { lakeMismatch, refused, type LakeSeen, type StatesStatus } from '../../../engine/states-status.ts'
import { openRedisStateStore } from '../../../edges/redis/states/state-store.ts'
import { partitionKey } from '../../../lake/commit/commit.ts'
import { lakeIdentity } from '../../../lake/commit/identity.ts'
import { openLake, type Lake } from '../../../lake/commit/lake.ts'
import type { EventLog } from '../../../ports/log.ts'
import { stateMetadata, type StateStore } from '../../../ports/states.ts'

/** The stores that hold the lake's id as metadata: that of the states, and that of the log if it is another Redis. */
export type LakeMetadata = readonly Pick<StateStore, 'metadata' | 'replaceMetadata'>[]

/** The lake of this installation; null when this machine has no folder of it (yet). */
export async function existingLake(config: Pick<Config, 'DATA_DIR'>): Promise<Lake | null> {
  return existsSync(join(lakeFolder(config), '_log')) ? openLake({ dir: lakeFolder(config) }) : null
}

/** A second metadata store beside the log; null when log and states share a server, or the log is Kafka. */
export async function openLogMetadata(config: Config): Promise<StateStore | null> {
  const place = stateLocation(config)
  const isApart = config.LOG === 'redis' && !(place.kind === 'server' && place.url === config.REDIS_URL)
  if (!isApart) return null
  const { NAMESPACE: namespace, STATE_TIMEOUT_MS: commandTimeoutMs, REDIS_URL: url } = config
  return openRedisStateStore({ namespace: `${namespace}:log`, commandTimeoutMs, url })
}

/** The id and the reach of a lake, for a check of the states. Gives a lake without an id one. */
export async function lakeSeen(config: Config, lake: Lake): Promise<LakeSeen> {
  return lakeReaching(config, lake.dir, (await lake.snapshot()).covered)
}

/** {@link lakeSeen} of a lake that reaches so far, also when its commit log cannot be read to the end. */
export async function lakeReaching(
  config: Config,
  dir: string,
  covered: ReadonlyMap<string, number>,
): Promise<LakeSeen> {
  const { topics } = names(config)
  const events = new Map<number, number>()
  let hasAnswers = false
  for (const [key, next] of covered) {
    const partition = Number(key.slice(key.lastIndexOf('/') + 1))
    if (key === partitionKey(topics.events, partition)) events.set(partition, next)
    if (key === partitionKey(topics.scores, partition) && next > 0) hasAnswers = true
  }
  return { id: await lakeIdentity(join(dir, '_log')), dir, events, hasAnswers }
}

/**
 * Writes the id of this lake into the metadata of states and log if they have none, by compare-and-set: of two
 * installations that begin at once, one is refused. Refuses an empty lake for a log that was materialized. Answers the
 * refusal, or null.
 */
export async function bindLake(
  config: Config,
  lake: LakeSeen,
  storeMetadata: LakeMetadata,
  log: Pick<EventLog, 'committed'>,
): Promise<Extract<StatesStatus, { kind: 'refused' }> | null> {
  for (const metadata of storeMetadata) {
    const known = await metadata.metadata(stateMetadata.lake)
    const foreign = lakeMismatch(known, lake, config.NAMESPACE)
    if (foreign?.kind === 'refused') return foreign
    if (known !== null) continue
    if (lake.events.size === 0 && (await isMaterialized(config, log))) {
      return refused(
        'lake_mismatch',
        `the log says that its records were materialized, and the lake in ${lake.dir} is empty: correct RIVERBANK_DATA_DIR, ` +
          'or run riverbank lake adopt where the lake was given up',
      )
    }
    if (!(await metadata.replaceMetadata(stateMetadata.lake, null, lake.id))) {
      return lakeMismatchAt(await metadata.metadata(stateMetadata.lake), lake, config)
    }
  }
  return null
}

function lakeMismatchAt(known: string | null, lake: LakeSeen, { NAMESPACE }: Config) {
  const foreign = lakeMismatch(known, lake, NAMESPACE)
  return foreign?.kind === 'refused' ? foreign : null
}

async function isMaterialized(config: Config, log: Pick<EventLog, 'committed'>): Promise<boolean> {
  const { topics, groups } = names(config)
  return [...(await log.committed(groups.materialize, topics.events)).values()].some((next) => next > 0)
}

/**
 * Binds states and log to the lake, for a command that works with it. Errors: `lake_mismatch`, those of store and log.
 */
export async function requireLake(config: Config, lake: Lake, store: StateStore, log: EventLog): Promise<void> {
  await requireSeen(config, await lakeSeen(config, lake), store, log)
}

/** {@link requireLake} for a lake that was read before. */
export async function requireSeen(config: Config, lake: LakeSeen, store: StateStore, log: EventLog): Promise<void> {
  const logMetadata = await openLogMetadata(config)
  try {
    const storeMetadata = logMetadata === null ? [store] : [store, logMetadata]
    const refusal = await bindLake(config, lake, storeMetadata, log)
    if (refusal !== null) throw new RiverbankError(refusal.code, refusal.reason)
  } finally {
    await logMetadata?.close()
  }
}

export interface Adopted {
  readonly lake: string
  readonly before: string | null
}

/** Rebinds states and log from the lake they know to this one. Errors: `state_unavailable`, `state_contended`. */
export async function adoptLake(config: Config): Promise<Adopted> {
  const lake = await openLake({ dir: lakeFolder(config) })
  const id = await lakeIdentity(join(lake.dir, '_log'))
  const [store, logMetadata] = [await openStateStore(config), await openLogMetadata(config)]
  try {
    const before = await store.metadata(stateMetadata.lake)
    for (const metadata of logMetadata === null ? [store] : [store, logMetadata]) {
      if (await metadata.replaceMetadata(stateMetadata.lake, await metadata.metadata(stateMetadata.lake), id)) continue
      throw new RiverbankError('state_contended', 'another command adopts a lake at the same time', { canRetry: true })
    }
    return { lake: id, before }
  } finally {
    await Promise.allSettled([store.close(), logMetadata?.close()])
  }
}
