import { expect, test } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { LakeHistory } from '../../../src/lake/rebuild/history.ts'
import { IncarnationBuilder } from '../../../src/lake/rebuild/incarnation.ts'
import { createFeatureSql } from '../../../src/compile/sql/feature-sql.ts'
import { lakeLookupDefaults, openLakeLookup } from '../../../src/app/roles/score-lookup.ts'
import { catalogOf as relationsOf } from '../../../src/lake/tables/sql-catalog.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { day, topics } from '../support/feed.ts'
import { folder, lake, renewLake } from '../support/fresh-lake.ts'
import * as logins from '../support/logins.ts'
import { edit, positionsOf, statesOf, verify, write, type LogContent } from '../verify/support/world.ts'

const { loginAttempted, takeoverReported, takeoverWithdrawn, accountCreated, event, schema, scorer } = logins
const hour = 3_600_000

interface Login {
  readonly deviceId?: string
  readonly succeeded?: boolean
  readonly country?: string
  readonly delayMs?: number | null
  readonly tags?: readonly string[]
  readonly source?: string
}
const login = (id: string, timeMs: number, accountId: string, data: Login = {}) =>
  event(loginAttempted, id, timeMs, accountId, { deviceId: 'd1', succeeded: true, delayMs: null, ...data })

function label(id: string, loginId: string, timeMs: number, loginTimeMs: number, accountId: string, more: object = {}) {
  const data = { login: loginId, deviceId: 'd1', worked: true, loginTimeMs, channel: 'phone', ...more }
  return event(takeoverReported, id, timeMs, accountId, data)
}

/** Two accounts on one device: what succeeded and what did not, a report, one that is taken back, and one that lies. */
function story() {
  return [
    event(accountCreated, 'n1', day, 'a1', { createdAtMs: day, premium: true }),
    login('l1', day + hour, 'a1', { country: 'FR', delayMs: 12, tags: ['new', 'vpn'], source: 'app' }),
    login('l2', day + 2 * hour, 'a1', { succeeded: false }),
    login('l3', day + 3 * hour, 'a2', { country: 'DE', delayMs: 0 }),
    label('r1', 'l1', day + 4 * hour, day + hour, 'a1', { country: 'FR' }),
    label('r2', 'l3', day + 4 * hour, day + 3 * hour, 'a2', { country: 'DE', channel: 'mail' }),
    label('r3', 'l2', day + 5 * hour, day + 2 * hour, 'a1'),
    event(takeoverWithdrawn, 'w2', day + 6 * hour, 'a2', {
      ...{ login: 'l3', deviceId: 'd1', worked: true, country: 'DE', loginTimeMs: day + 3 * hour, channel: 'mail' },
    }),
    login('l4', day + 31 * hour, 'a2', { succeeded: false, country: 'FR' }),
    login('l5', day + 32 * hour, 'a1'),
    login('l5', day + 32 * hour + 1, 'a1'),
  ]
}

async function ask(sql: string) {
  const { setup } = relationsOf(lake, await lake.snapshot(), schema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 512, setup })
  try {
    return await query.rows(sql)
  } finally {
    query.close()
  }
}

const writeLogins = (content: LogContent) => write(lake, content, 3, schema, logins.catalog)

test('fields that an event leaves out are null, booleans stay booleans, and what is no single value is JSON', async () => {
  await writeLogins(await logins.run(story()))
  const columns = 'login_id, account_id, succeeded, country, delay_ms, data_source, tags'
  const rows = await ask(
    `SELECT ${columns} FROM events WHERE event_type = 'login.attempted' ORDER BY event_time_ms LIMIT 2`,
  )
  expect(rows).toEqual([
    {
      ...{ login_id: 'l1', account_id: 'a1', succeeded: true, country: 'FR', delay_ms: 12, data_source: 'app' },
      tags: '["new","vpn"]',
    },
    {
      login_id: 'l2',
      account_id: 'a1',
      succeeded: false,
      country: null,
      delay_ms: null,
      data_source: null,
      tags: null,
    },
  ])
  expect(await ask("SELECT login_id, succeeded, premium FROM events WHERE event_id = 'n1'")).toEqual([
    { login_id: null, succeeded: null, premium: true },
  ])
})

test('every event type has a view, and labels take back what their type withdraws', async () => {
  await writeLogins(await logins.run(story()))
  expect(await ask('SELECT login_id, login_time_ms, succeeded, device_id FROM logins ORDER BY 1, 2 LIMIT 2')).toEqual([
    { login_id: 'l1', login_time_ms: day + hour, succeeded: true, device_id: 'd1' },
    { login_id: 'l2', login_time_ms: day + 2 * hour, succeeded: false, device_id: 'd1' },
  ])
  expect(await ask('SELECT count(*) AS n FROM logins')).toEqual([{ n: 5 }])
  expect(await ask('SELECT event_id, observed_time_ms, premium FROM account_created')).toEqual([
    { event_id: 'n1', observed_time_ms: day, premium: true },
  ])
  // The third report says that the login worked, which it did not.
  const events = 'SELECT label_id, login_id, is_report, label_kind, succeeded, counts FROM label_events ORDER BY 1'
  expect(await ask(events)).toEqual([
    { label_id: 'r1', login_id: 'l1', is_report: true, label_kind: 'phone', succeeded: true, counts: true },
    { label_id: 'r2', login_id: 'l3', is_report: true, label_kind: 'mail', succeeded: true, counts: true },
    { label_id: 'r3', login_id: 'l2', is_report: true, label_kind: 'phone', succeeded: true, counts: false },
    { label_id: 'w2', login_id: 'l3', is_report: false, label_kind: 'mail', succeeded: true, counts: true },
  ])
  expect(await ask('SELECT login_id, login_time_ms, account_id FROM labels')).toEqual([
    { login_id: 'l1', login_time_ms: day + hour, account_id: 'a1' },
  ])
  expect(await ask('SELECT login_id, label FROM training_set ORDER BY 1')).toEqual(
    ['l1', 'l2', 'l3', 'l4', 'l5'].map((login_id) => ({ login_id, label: login_id === 'l1' ? 1 : 0 })),
  )
  const asOf = (hours: number) =>
    ask(`SELECT count(*) AS n, sum(label) AS frauds FROM training_set_as_of(make_timestamp_ms(${day + hours * hour}))`)
  expect(await asOf(4)).toEqual([{ n: 3, frauds: 2 }])
  expect(await asOf(3)).toEqual([{ n: 3, frauds: 0 }])
})

/** `verify` with the definitions of logins, the states of the run, and the log's word that this is all. */
function verifyLogins(content: LogContent) {
  const positions = positionsOf(content)
  return verify(lake, {
    ...{ schema, sql: createFeatureSql(logins.set), scorers: [scorer], positions },
    states: { ...statesOf(content, positions.committed), plan: logins.plan },
  })
}

test('I1 to I5: verify recomputes a lake of logins, and says logins', async () => {
  const content = await logins.run(story())
  await writeLogins(content)
  const report = await verifyLogins(content)
  expect(report, renderVerify(report)).toMatchObject({ ok: true, violations: 0, pending: { logins: 0 } })
  expect(report.invariants.I2.counts).toEqual({ logins: 5, scores: 5, copies: 0 })
  expect(report.invariants.I1.counts).toMatchObject({ duplicates: 1, accounts: 2, devices: 1 })
  expect(report.invariants.I4?.counts).toMatchObject({ 'states compared': 3 })
})

test('I2 and I3: a score that repeats its event otherwise, or that misread a boolean, is found', async () => {
  const content = await logins.run(story())
  const repeated = content.scores.findIndex(({ value }) => new TextDecoder().decode(value).includes('a2/l4:scored'))
  edit(content.scores, repeated, (event) => Object.assign(event.data, { succeeded: true }))
  await writeLogins(content)
  const otherwise = await verifyLogins(content)
  expect(otherwise.invariants.I2.byCode).toEqual({ cause_differs: 1 })
  expect(otherwise.invariants.I2.examples[0]?.fields).toMatchObject({ column_name: 'succeeded' })
  await renewLake()
  const misread = await logins.run(story())
  edit(misread.scores, repeated, ({ data }) => {
    data.features['device_takeovers__failure_count_30d'] = 2
  })
  edit(misread.scores, repeated, ({ data }) => {
    data.features['slow_failure'] = 5
  })
  await writeLogins(misread)
  expect((await verifyLogins(misread)).invariants.I3.byFeature).toEqual({
    device_takeovers__failure_count_30d: 1,
    slow_failure: 1,
  })
})

test('states that rebuild makes of the lake have the features of its history, whatever an event left out', async () => {
  const content = await logins.run(story())
  await writeLogins(content)
  const snapshot = await lake.snapshot()
  const { setup } = relationsOf(lake, snapshot, schema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 512, setup })
  const { committed } = positionsOf(content)
  try {
    const options = { query, plan: logins.plan, schema, topics, committed }
    const history = await LakeHistory.open({ ...options, fromWhole: (read) => read() })
    await history.limit(await history.reach())
    const made = new Map<string, Uint8Array>()
    for (const entity of logins.plan.entities) {
      const lives = new Map<string, IncarnationBuilder>()
      await history.each(entity, { chunk: 0, chunks: 1 }, (rows) => {
        for (const row of rows) {
          const life = lives.get(row.id) ?? new IncarnationBuilder(entity, row.id, committed)
          lives.set(row.id, life)
          life.add(row)
        }
      })
      for (const [id, life] of lives) {
        const built = life.finish()
        if (built !== null) made.set(`${entity.name}/${id}`, encodeState(entity, built.state))
      }
    }
    expect([...made.keys()].sort()).toEqual([...content.states.keys()].sort())
    const report = await verifyLogins({ ...content, states: made })
    expect(report.invariants.I4, renderVerify(report)).toMatchObject({ violations: 0 })
    expect(report.invariants.I4?.counts).toMatchObject({ 'states compared': 3 })
  } finally {
    query.close()
  }
})

test('the lookup reads a score back as it was published, whatever its event left out', async () => {
  const content = await logins.run(story())
  await writeLogins(content)
  const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog: logins.catalog, listBytesMax: 1 << 20 })
  for (const id of ['l1', 'l2']) {
    const found = await lookup.scores(id, { aggregateId: 'a1', known: [], max: 2 })
    const text = content.scores
      .map(({ value }) => new TextDecoder().decode(value))
      .find((one) => one.includes(`/${id}:`))
    expect(found).toEqual([
      { aggregateId: 'a1', eventId: id, data: (JSON.parse(text ?? '') as { data: unknown }).data },
    ])
  }
  await lookup.close()
})
