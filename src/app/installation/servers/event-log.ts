import { RiverbankError } from '../../../base/errors.ts'
import { stateLocation, type Config } from '../settings/config.ts'
import { openClusterStateStore } from '../../../edges/redis/cluster/cluster-state-store.ts'
import { openClusterGenerationStore, openRedisGenerationStore } from '../../../edges/redis/states/generation-store.ts'
import { openRedisEventLog } from '../../../edges/redis/log/event-log.ts'
import { openRedisStateStore } from '../../../edges/redis/states/state-store.ts'
import type { GenerationStore } from '../../../ports/generations.ts'
import type { EventLog } from '../../../ports/log.ts'
import type { StateStore } from '../../../ports/states.ts'
import type { Logger } from '../../../ports/telemetry.ts'

/** Opens the log that the configuration names. Errors: `log_unavailable`, `invalid_config`. */
export async function openEventLog(config: Config, logger?: Logger): Promise<EventLog> {
  switch (config.LOG) {
    case 'kafka': {
      const brokers = config.KAFKA_BROKERS.split(',').map((broker) => broker.trim())
      if (brokers.includes('')) throw new RiverbankError('invalid_config', 'KAFKA_BROKERS: host:port, host:port')
      const clientId = `riverbank-${config.NAMESPACE}`
      const { openKafkaEventLog } = await import('../../../edges/kafka/event-log.ts')
      return openKafkaEventLog({ brokers, clientId, ...(logger === undefined ? {} : { logger }) })
    }
    case 'redis':
      return openRedisEventLog({
        url: config.REDIS_URL,
        namespace: config.NAMESPACE,
        commandTimeoutMs: config.STATE_TIMEOUT_MS,
      })
  }
}

/** Opens the state store that the configuration names. Errors: `state_unavailable`, `invalid_config`. */
export async function openStateStore(config: Config): Promise<StateStore> {
  const options = { namespace: config.NAMESPACE, commandTimeoutMs: config.STATE_TIMEOUT_MS }
  const place = stateLocation(config)
  switch (place.kind) {
    case 'server':
      return openRedisStateStore({ ...options, url: place.url })
    case 'cluster':
      return openClusterStateStore({ ...options, seeds: place.seeds })
  }
}

/** Opens the list of generations of a scored type, beside the states. Errors: `state_unavailable`, `invalid_config`. */
export async function openGenerationStore(config: Config, eventType: string): Promise<GenerationStore> {
  const options = { namespace: config.NAMESPACE, eventType, commandTimeoutMs: config.STATE_TIMEOUT_MS }
  const place = stateLocation(config)
  switch (place.kind) {
    case 'server':
      return openRedisGenerationStore({ ...options, url: place.url })
    case 'cluster':
      return openClusterGenerationStore({ ...options, seeds: place.seeds })
  }
}

/** Opens one for each type, or none: an open connection would keep a command from ending. Errors: those of one. */
export async function openGenerationStores(
  config: Config,
  eventTypes: Iterable<string>,
): Promise<ReadonlyMap<string, GenerationStore>> {
  const stores = new Map<string, GenerationStore>()
  try {
    for (const eventType of eventTypes) stores.set(eventType, await openGenerationStore(config, eventType))
    return stores
  } catch (error) {
    for (const store of stores.values()) await store.close()
    throw error
  }
}

export interface Stores {
  readonly log: EventLog
  readonly store: StateStore
}

/** Opens both, or neither: an open connection would keep a command from ending. Errors: those of log and store. */
export async function openStores(config: Config, logger?: Logger): Promise<Stores> {
  const log = await openEventLog(config, logger)
  try {
    return { log, store: await openStateStore(config) }
  } catch (error) {
    await log.close()
    throw error
  }
}
