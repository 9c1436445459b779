import { riverbank } from './command.ts'
import type { Installation } from './installation.ts'
import type { Metric } from './measurement.ts'
import { recordsOf } from './lake.ts'
import type { Place } from './place.ts'
import { eachRound, type Run } from './run.ts'
import { connectRedis } from '../../src/edges/redis/server/connection.ts'

/** Measures `riverbank verify` on the shared history: records of the log, events and scores, for each second. */
export async function benchVerify(run: Run, place: Place): Promise<void> {
  const installation = await place.history()
  const rows = await recordsOf(installation)
  await eachRound(run, `verify, ${rows} records`, async () => {
    const { stdout, seconds } = await riverbank(installation, ['verify', '--json'], run.signal)
    const report = JSON.parse(stdout) as { readonly seconds: number; readonly mismatches: number }
    const metric = metricOf(place, 'verify')
    run.record(metric('records, start of the command included', 'rows/s'), rows / seconds)
    run.record(metric('records', 'rows/s'), rows / report.seconds)
    run.record(metric('mismatches', ''), report.mismatches)
  })
}

/** Measures `riverbank rebuild` on the shared history, whose states are lost each time. */
export async function benchRebuild(run: Run, place: Place): Promise<void> {
  const installation = await place.history()
  await eachRound(run, 'rebuild', async () => {
    run.say('the roles will say that they lost their states: this benchmark deletes them')
    await emptyStates(installation)
    const { stdout, seconds } = await riverbank(installation, ['rebuild', '--json'], run.signal)
    const result = JSON.parse(stdout) as {
      readonly seconds: number
      readonly states: number
      readonly rows: Readonly<Record<string, number>>
    }
    const rows = Object.values(result.rows).reduce((sum, count) => sum + count, 0)
    const metric = metricOf(place, 'rebuild')
    run.record(metric('rows, start of the command included', 'rows/s'), rows / seconds)
    run.record(metric('rows', 'rows/s'), rows / result.seconds)
    run.record(metric('states', 'states/s'), result.states / result.seconds)
  })
}

function metricOf({ driver }: Place, benchmark: string) {
  return (name: string, unit: string): Metric => ({ benchmark, driver, name, unit })
}

/** As if the server of the states alone had lost them: the log in the same Redis stays. */
async function emptyStates({ config: { REDIS_URL, NAMESPACE } }: Installation): Promise<void> {
  const script =
    `for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do ` +
    `if string.sub(key, 1, #ARGV[2]) ~= ARGV[2] then redis.call('DEL', key) end end`
  const connection = { url: REDIS_URL, name: 'bench', commandTimeoutMs: 10_000, reconnectMaxDelayMs: 1_000 }
  const redis = await connectRedis(connection, 'state_unavailable')
  try {
    await redis.eval(script, 0, `${NAMESPACE}:`, `${NAMESPACE}:log:`)
  } finally {
    redis.disconnect()
  }
}
