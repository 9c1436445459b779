import { join } from 'node:path'
import { catchUp } from './catch-up.ts'
import type { Fed } from './feed.ts'
import type { Demo } from './run.ts'
import { say } from './say.ts'
import { names } from '../../src/app/config.ts'
import { definitions } from '../../src/app/definitions.ts'
import { renderVerify, runVerify } from '../../src/app/verify.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'
import { openLake } from '../../src/lake/lake.ts'
import { sqlCatalog } from '../../src/lake/sql-catalog.ts'

/** The last line on stdout. */
export interface RunSummary {
  readonly payments: number
  readonly labels: number
  /** Payments with a score. */
  readonly scores: number
  readonly deadLetters: number
  readonly lakeRows: { readonly events: number; readonly scores: number }
  /** Events per second from the first one sent to the last one scored. */
  readonly eventsPerSecond: number
  /** From the log accepting a payment to the log accepting its score. The whole run is sent at once, so this is queueing. */
  readonly latencyMs: { readonly p50: number; readonly p99: number }
  readonly mismatches: number
  readonly seconds: number
}

/** Waits for everything, proves it, prints the summary and answers the exit code. */
export async function finishRun(demo: Demo, fed: Fed, startedMs: number): Promise<number> {
  const { config } = demo.installation
  await catchUp(demo, 'scored')
  const scoringSeconds = (performance.now() - fed.startedMs) / 1_000
  await catchUp(demo, 'materialized')
  const lake = await lakeNumbers(demo)
  const letters = (await demo.log.describeTopic(names(config).topics.deadLetters)) ?? []
  say('verifying')
  const report = await runVerify(config, { log: demo.log, fast: false, onProgress: say })
  process.stderr.write(renderVerify(report))
  const summary: RunSummary = {
    payments: fed.payments,
    labels: fed.labels,
    scores: lake.scored,
    deadLetters: letters.reduce((sum, { start, end }) => sum + end - start, 0),
    lakeRows: lake.rows,
    eventsPerSecond: Math.round((fed.payments + fed.labels) / scoringSeconds),
    latencyMs: lake.latencyMs,
    mismatches: report.mismatches,
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
  }
  process.stdout.write(`${JSON.stringify(summary)}\n`)
  const whole =
    summary.scores === summary.payments &&
    summary.deadLetters === 0 &&
    lake.rows.events === fed.payments + fed.labels &&
    lake.rows.scores === fed.payments
  if (!whole)
    say('not everything in this folder is of this run: its counts differ from what was sent (an earlier run?)')
  return whole && report.ok && summary.mismatches === 0 ? 0 : 1
}

async function lakeNumbers({ installation }: Demo) {
  const dir = join(installation.config.DATA_DIR, 'lake')
  const { setup } = await sqlCatalog(await openLake({ dir }), definitions().manifest)
  const query = await openQuery({ threads: 2, memoryMb: 1_024, tempDir: join(dir, '_staging'), tempMb: 4_096, setup })
  try {
    const number = async (sql: string) => Number(Object.values((await query.rows(sql))[0] ?? {})[0] ?? 0)
    const quantile = (q: number) => number(`SELECT quantile_disc(append_time_ms - event_time_ms, ${q}) FROM scores`)
    return {
      rows: {
        events: await number('SELECT count(*) FROM events'),
        scores: await number('SELECT count(*) FROM scores'),
      },
      scored: await number('SELECT count(*) FROM (SELECT DISTINCT customer_id, payment_id FROM scores)'),
      latencyMs: { p50: await quantile(0.5), p99: await quantile(0.99) },
    }
  } finally {
    query.close()
  }
}
