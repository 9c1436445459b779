import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readConfig } from '../../../../src/app/installation/settings/config.ts'
import { adoptLake } from '../../../../src/app/installation/lake/lake-binding.ts'
import { runLakeRepair } from '../../../../src/app/commands/lake/lake-repair-command.ts'
import { openLake } from '../../../../src/lake/commit/lake.ts'
import { commitName } from '../../../../src/lake/commit/log-files.ts'
import { ownedBy, stepOf } from '../../../lake/support/commits.ts'
import { tempFolder } from '../../../lake/support/feed.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'

test.skipIf(redisAvailable() !== null)('a lake is not repaired from the log of another one', async () => {
  const redis = await startTestRedis()
  const [own, other] = [tempFolder(), tempFolder()]
  const configOf = ({ dir }: typeof own) => readConfig({ REDIS_URL: redis.url, RIVERBANK_DATA_DIR: dir })
  try {
    for (const { dir } of [own, other]) {
      const lake = await openLake({ dir: join(dir, 'lake') })
      await lake.log.commit(ownedBy('a'))
      for (const i of [0, 1]) await lake.log.commit(stepOf(i))
      // Its snapshot cannot be read any more; its id can.
      rmSync(join(dir, 'lake/_log', commitName(2)))
    }
    await adoptLake(configOf(own))
    await expect(runLakeRepair(configOf(other), {}, () => undefined)).rejects.toMatchObject({ code: 'lake_mismatch' })
    const result = await runLakeRepair(configOf(own), {}, () => undefined)
    expect(result.check.version).toBe(3)
  } finally {
    await redis.stop()
    own.remove()
    other.remove()
  }
})
