import { quantile, type Metric } from './measurement.ts'
import type { Place } from './place.ts'
import { eachRound, sized, type Run } from './run.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Questions that analysts of the shipped project ask, small to large. */
const queries: Readonly<Record<string, string>> = {
  'one constant': 'SELECT 1',
  'scores by decision': 'SELECT decision, count(*) AS payments FROM scores GROUP BY ALL ORDER BY ALL',
  'one customer': `SELECT event_id, score FROM scores WHERE log_key = '596' ORDER BY event_id LIMIT 100`,
  'labels joined with scores':
    'SELECT label, count(*) AS payments, avg(score) AS score FROM training_set GROUP BY label',
}
const repeats = 10

/** Measures queries over HTTP on the lake of the shared history, one at a time. */
export async function benchSql(run: Run, place: Place): Promise<void> {
  const { port } = await place.history()
  for (const [name, sql] of Object.entries(queries)) {
    await eachRound(run, `sql, ${name}`, async () => {
      const times: number[] = []
      for (let n = 0; n < sized(run, repeats, 1); n += 1) times.push(await timed(port, sql))
      const metric = (q: string): Metric => {
        return { benchmark: 'sql', driver: place.driver, name: `${name}, ${q}`, unit: 'ms' }
      }
      run.record(metric('p50'), quantile(times, 0.5))
      run.record(metric('max'), quantile(times, 1))
    })
  }
}

/** Milliseconds. Errors: `sql_failed`. */
async function timed(port: number, sql: string): Promise<number> {
  const startedMs = performance.now()
  const answer = await fetch(`http://127.0.0.1:${port}/v1/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sql }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new RiverbankError('sql_failed', text)
  return performance.now() - startedMs
}
