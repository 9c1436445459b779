import { join } from 'node:path'
import { catchUp } from './catch-up.ts'
import type { Fed } from './feed.ts'
import type { Demo } from './run.ts'
import { copiesIn, findings } from './findings.ts'
import { say } from './say.ts'
import { countDeadLetters } from '../../src/app/commands/dead-letters/dead-letter-topic.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { renderVerify, runVerify } from '../../src/app/installation/lake/verify.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import { sqlCatalog } from '../../src/lake/tables/sql-catalog.ts'

/** The last line on stdout. */
export interface RunSummary {
  /** Events of scored types. */
  readonly events: number
  readonly labels: number
  /** Those of them with a score. */
  readonly scores: number
  /** Dead letters, without those of copies. */
  readonly deadLetters: number
  /** Copies of events that the feed sent after a time-out: the processor refused each as `duplicate_event`. */
  readonly repeats: number
  readonly lakeRows: { readonly events: number; readonly scores: number }
  /** Events per second from the first event sent to the last one scored. */
  readonly eventsPerSecond: number
  /**
   * From the append of an event to that of its score. The run sends everything at once, so this is time in the queue.
   */
  readonly latencyMs: { readonly p50: number; readonly p99: number }
  readonly mismatches: number
  readonly seconds: number
}

/** Waits for all events, verifies them, prints the summary and answers the exit code. */
export async function finishRun(demo: Demo, fed: Fed, startedMs: number): Promise<number> {
  const { config } = demo.installation
  const total = fed.sent
  await catchUp(demo, 'scored', total)
  const scoringSeconds = (performance.now() - fed.startedMs) / 1_000
  // Each event has one output event.
  await catchUp(demo, 'materialized', 2 * total)
  const lake = await lakeNumbers(demo)
  const deadLetters = await countDeadLetters(config, demo.log)
  say('verifying')
  const report = await runVerify(config, { log: demo.log, fast: false, onProgress: say })
  process.stderr.write(renderVerify(report))
  const { lakeRows, scores } = { lakeRows: lake.rows, scores: lake.scored }
  const { mismatches, ok: verified } = report
  const outcome = { scores, lakeRows, lakeEvents: lake.events, deadLetters, mismatches, verified }
  const repeats = deadLetters.get('duplicate_event') ?? 0
  const summary: RunSummary = {
    events: fed.scored,
    labels: fed.labels,
    scores,
    deadLetters: [...deadLetters.values()].reduce((sum, count) => sum + count, 0) - repeats,
    repeats,
    lakeRows,
    eventsPerSecond: Math.round(fed.sent / scoringSeconds),
    latencyMs: lake.latencyMs,
    mismatches,
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
  }
  process.stdout.write(`${JSON.stringify(summary)}\n`)
  const copies = copiesIn(outcome)
  if (copies > 0)
    say(`${copies} events were sent again, because the log was slow to acknowledge them; each counts once`)
  const found = findings(fed, outcome)
  for (const one of found) say(`wrong: ${one}`)
  return found.length === 0 ? 0 : 1
}

async function lakeNumbers({ installation }: Demo) {
  const dir = join(installation.config.DATA_DIR, 'lake')
  const { setup } = await sqlCatalog(await openLake({ dir }), definitions(installation.config).lakeSchema)
  const query = await openQuery({ threads: 2, memoryMb: 1_024, tempDir: join(dir, '_staging'), tempMb: 4_096, setup })
  try {
    const number = async (sql: string) => Number(Object.values((await query.rows(sql))[0] ?? {})[0] ?? 0)
    const quantile = (q: number) => number(`SELECT quantile_disc(append_time_ms - event_time_ms, ${q}) FROM scores`)
    return {
      rows: {
        events: await number('SELECT count(*) FROM events'),
        scores: await number('SELECT count(*) FROM scores'),
      },
      events: {
        ids: await number('SELECT count(DISTINCT event_id) FROM events'),
        contents: await number('SELECT count(DISTINCT hash(event_id, body)) FROM events'),
      },
      scored: await number('SELECT count(*) FROM (SELECT DISTINCT event_id FROM scores)'),
      latencyMs: { p50: await quantile(0.5), p99: await quantile(0.99) },
    }
  } finally {
    query.close()
  }
}
