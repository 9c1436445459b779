import { stateLocation, type Config } from '../settings/config.ts'
import { clusterFinding, redisFinding } from '../../doctor/doctor-redis.ts'
import { probeCluster, probeRedis } from '../../../edges/redis/server/probe.ts'
import type { Logger } from '../../../ports/telemetry.ts'

/**
 * Says at the start what `doctor` says of the server of the states: one that may evict drops states one by one, and a
 * state that is missing alone looks like an entity that nobody has seen. Never in the way of a start.
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
