import { stateLocation, type Config } from '../settings/config.ts'
import { clusterFinding, redisFinding } from '../../doctor/doctor-redis.ts'
import { probeCluster, probeRedis } from '../../../edges/redis/server/probe.ts'
import type { Logger } from '../../../ports/telemetry.ts'

/**
 * Warns at the start, as `doctor` does, of a state server that may evict: it drops states one by one, and an entity
 * whose state is missing looks like a new one. Never keeps a role from starting.
 */
export async function tellEviction(config: Config, logger: Logger): Promise<void> {
  const place = stateLocation(config)
  try {
    const finding =
      place.kind === 'cluster'
        ? clusterFinding(await probeCluster(place.seeds, config.STATE_TIMEOUT_MS))
        : redisFinding(await probeRedis(place.url, config.STATE_TIMEOUT_MS))
    if (finding.status === 'fail') {
      logger.error('the server of the states may lose them', { detail: finding.detail, fix: finding.fix })
    }
  } catch (error) {
    logger.debug('the server of the states does not tell its settings', { error })
  }
}
