/**
 * A role that does not stop, with a query in a thread of the database that lasts for minutes: `stuck-role.ts <file>`.
 */
import { writeFileSync } from 'node:fs'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { runRole } from '../../../src/app/roles/lifecycle/role.ts'
import { openQuery } from '../../../src/edges/duckdb/query.ts'

const folder = process.argv[2] ?? ''
const config = readConfig({ RIVERBANK_DRAIN_MS: '300' })
const never = new Promise<void>(() => undefined)
const query = await openQuery({ threads: 1, memoryMb: 128, tempDir: folder, tempMb: 1, setup: [] })
const start = async () => {
  void query
    .rows('SELECT count(*) FROM range(20000000000) AS numbers(n) WHERE n % 7 = 1')
    .finally(() => writeFileSync(`${folder}/query-done`, ''))
  return { finished: never, stop: () => never }
}
process.exit(await runRole('stuck', config, start))
