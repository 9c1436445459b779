import { expect, test } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { LakeHistory } from '../../../src/lake/rebuild/history.ts'
import { IncarnationBuilder } from '../../../src/lake/rebuild/incarnation.ts'
import { createFeatureSql } from '../../../src/compile/sql/feature-sql.ts'
import { lakeLookupDefaults, openLakeLookup } from '../../../src/app/roles/score-lookup.ts'
import { sampleBackground } from '../../../src/lake/materialize/background.ts'
import { catalogOf as relationsOf } from '../../../src/lake/tables/sql-catalog.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { day, topics } from '../support/feed.ts'
import { folder, lake, renewLake } from '../support/fresh-lake.ts'
import * as logins from '../support/logins.ts'
import * as resets from '../support/resets.ts'
import { edit, positionsOf, read, statesOf, verify, write, type LogContent } from '../verify/support/world.ts'

const { event } = logins
const { schema, scorers } = resets
const hour = 3_600_000
const dayMs = 24 * hour

const login = (id: string, timeMs: number, accountId: string, data: object = {}) =>
  event(logins.loginAttempted, id, timeMs, accountId, { deviceId: 'd1', succeeded: true, delayMs: null, ...data })
const reset = (id: string, timeMs: number, accountId: string, data: object = {}) =>
  event(resets.resetRequested, id, timeMs, accountId, { deviceId: 'd1', via: 'sms', afterMs: null, ...data })
const takeover = (id: string, loginId: string, timeMs: number, loginTimeMs: number, accountId: string) =>
  event(logins.takeoverReported, id, timeMs, accountId, {
    ...{ login: loginId, deviceId: 'd1', worked: true, loginTimeMs, channel: 'phone' },
  })
const dispute = (id: string, resetId: string, timeMs: number, resetTimeMs: number, accountId: string) =>
  event(resets.resetDisputed, id, timeMs, accountId, { login: resetId, deviceId: 'd1', resetTimeMs })

/**
 * Two accounts on one device. x1 is a login, and two days later, when its id is no longer known, a reset: each has a
 * label. The dispute d3 names a login, which nobody disputes.
 */
function story() {
  return [
    login('l1', day + hour, 'a1', { country: 'FR' }),
    login('l2', day + 2 * hour, 'a1', { succeeded: false, delayMs: 12 }),
    reset('r1', day + 3 * hour, 'a1', { via: 'mail', afterMs: hour, loginId: 'l2' }),
    login('x1', day + 4 * hour, 'a2', { succeeded: true }),
    takeover('t1', 'x1', day + 5 * hour, day + 4 * hour, 'a2'),
    dispute('d3', 'l1', day + 6 * hour, day + hour, 'a1'),
    reset('r1', day + 6 * hour, 'a1', { via: 'mail', afterMs: hour, loginId: 'l2' }),
    login('l0', day + 40 * hour, 'a2'),
    reset('x1', day + 2 * dayMs, 'a2'),
    dispute('d1', 'r1', day + 2 * dayMs + hour, day + 3 * hour, 'a1'),
    dispute('d2', 'x1', day + 2 * dayMs + hour, day + 2 * dayMs, 'a2'),
    reset('r2', day + 3 * dayMs, 'a2', { afterMs: 7 }),
    login('l3', day + 3 * dayMs + hour, 'a1'),
  ]
}

async function withQuery<Result>(
  work: (query: Awaited<ReturnType<typeof openQuery>>) => Promise<Result>,
  own = schema,
): Promise<Result> {
  const { setup } = relationsOf(lake, await lake.snapshot(), own)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 512, setup })
  try {
    return await work(query)
  } finally {
    query.close()
  }
}
const ask = (sql: string) => withQuery((query) => query.rows(sql))

const writeAll = (content: LogContent) => write(lake, content, 3, schema, resets.catalog)

function verifyAll(content: LogContent) {
  const positions = positionsOf(content)
  return verify(lake, {
    ...{ schema, sql: createFeatureSql(resets.set), scorers, positions },
    states: { ...statesOf(content, positions.committed), plan: resets.plan },
  })
}

test('scores of several types share one table, where each row says its type and fills the columns of its own', async () => {
  await writeAll(await resets.run(story()))
  const columns = 'event_type, causation_id, login_id, reset_id, account_id, succeeded, via, device_id'
  expect(await ask(`SELECT ${columns} FROM scores WHERE account_id = 'a1' ORDER BY append_time_ms LIMIT 3`)).toEqual([
    {
      ...{ event_type: 'login.scored', causation_id: 'l1', login_id: 'l1', reset_id: null, account_id: 'a1' },
      ...{ succeeded: true, via: null, device_id: 'd1' },
    },
    {
      ...{ event_type: 'login.scored', causation_id: 'l2', login_id: 'l2', reset_id: null, account_id: 'a1' },
      ...{ succeeded: false, via: null, device_id: 'd1' },
    },
    {
      ...{ event_type: 'reset.scored', causation_id: 'r1', login_id: 'l2', reset_id: 'r1', account_id: 'a1' },
      ...{ succeeded: null, via: 'mail', device_id: 'd1' },
    },
  ])
  expect(await ask('SELECT login_time_ms, reset_time_ms FROM scores WHERE reset_id IS NOT NULL LIMIT 1')).toEqual([
    { login_time_ms: null, reset_time_ms: day + 3 * hour },
  ])
})

test('each scored type has labels and training sets of its own, named after its view', async () => {
  await writeAll(await resets.run(story()))
  const { relations, tableFunctions } = relationsOf(lake, await lake.snapshot(), schema)
  expect(relations.filter((name) => /^(logins|resets)/.test(name))).toEqual([
    ...['logins', 'resets', 'logins_label_events', 'logins_labels', 'logins_training_set'],
    ...['resets_label_events', 'resets_labels', 'resets_training_set'],
  ])
  expect(tableFunctions).toEqual(['logins_training_set_as_of', 'resets_training_set_as_of'])
  expect(await ask('SELECT login_id, account_id FROM logins_labels')).toEqual([{ login_id: 'x1', account_id: 'a2' }])
  expect(await ask('SELECT reset_id, account_id FROM resets_labels ORDER BY 1')).toEqual([
    { reset_id: 'r1', account_id: 'a1' },
    { reset_id: 'x1', account_id: 'a2' },
  ])
  expect(await ask('SELECT label_id, reset_id, counts, outcome FROM resets_label_events ORDER BY 1')).toEqual([
    { label_id: 'd1', reset_id: 'r1', counts: true, outcome: 'applied' },
    { label_id: 'd2', reset_id: 'x1', counts: true, outcome: 'applied' },
    { label_id: 'd3', reset_id: 'l1', counts: false, outcome: 'unknown_subject' },
  ])
  expect(await ask('SELECT login_id, label FROM logins_training_set ORDER BY 1')).toEqual(
    ['l0', 'l1', 'l2', 'l3', 'x1'].map((login_id) => ({ login_id, label: login_id === 'x1' ? 1 : 0 })),
  )
  expect(await ask('SELECT reset_id, label FROM resets_training_set ORDER BY 1')).toEqual([
    { reset_id: 'r1', label: 1 },
    { reset_id: 'r2', label: 0 },
    { reset_id: 'x1', label: 1 },
  ])
  const before = `make_timestamp_ms(${day + 2 * dayMs})`
  expect(await ask(`SELECT reset_id, label FROM resets_training_set_as_of(${before}) ORDER BY 1`)).toEqual([
    { reset_id: 'r1', label: 0 },
    { reset_id: 'x1', label: 0 },
  ])
})

test('a training set has the columns that scores of its type can fill, and features of entities that both name', async () => {
  await writeAll(await resets.run(story()))
  const described = await ask('DESCRIBE SELECT * FROM resets_training_set')
  const names = described.map((row) => row['column_name'])
  expect(names).toEqual(
    expect.arrayContaining(['reset_id', 'login_id', 'via', 'account_logins__failure_count_30d', 'after_login']),
  )
  for (const foreign of ['succeeded', 'country', 'login_time', 'login_time_ms']) expect(names).not.toContain(foreign)
})

test('I1 to I5: verify recomputes the scores of both types, and counts each', async () => {
  const content = await resets.run(story())
  await writeAll(content)
  const report = await verifyAll(content)
  expect(report, renderVerify(report)).toMatchObject({
    ...{ ok: true, violations: 0, scored: ['logins', 'resets'] },
    pending: { logins: 0, resets: 0 },
  })
  expect(report.invariants.I2.counts).toEqual({
    ...{ logins: 5, 'scores of logins': 5, resets: 3, 'scores of resets': 3, scores: 8, copies: 0 },
  })
  expect(report.invariants.I3.counts).toMatchObject({ 'score rows': 8, 'scores recomputed': 8 })
  expect(report.invariants.I1.counts).toMatchObject({ duplicates: 1 })
  expect(report.invariants.I4?.counts).toMatchObject({ 'states compared': 3 })
})

test('I2: an event of either type without its score is found', async () => {
  for (const [missing, left] of [
    ['a1/l3:scored', { 'scores of logins': 4, 'scores of resets': 3 }],
    ['a2/r2:scored', { 'scores of logins': 5, 'scores of resets': 2 }],
  ] as const) {
    await renewLake()
    const content = await resets.run(story())
    content.scores = content.scores.filter((record) => read(record).id !== missing)
    await writeAll(content)
    const { I2 } = (await verifyAll(content)).invariants
    expect(I2.byCode).toEqual({ score_missing: 1 })
    expect(I2.counts).toMatchObject(left)
  }
})

const at = (content: LogContent, id: string) => content.scores.findIndex((record) => read(record).id === id)

test.each([
  ['that repeats its event otherwise', 'via', (event: { data: object }) => Object.assign(event.data, { via: 'sms' })],
  ['that names another login', 'login_id', (event: { data: object }) => Object.assign(event.data, { loginId: 'l1' })],
])('I2: a score of the second type %s is found', async (_what, column, change) => {
  const content = await resets.run(story())
  edit(content.scores, at(content, 'a1/r1:scored'), change)
  await writeAll(content)
  const { I2 } = (await verifyAll(content)).invariants
  expect(I2.byCode).toEqual({ cause_differs: 1 })
  expect(I2.examples[0]?.fields).toMatchObject({ column_name: column })
})

test('I2: a score that is of another type than its event is found', async () => {
  const content = await resets.run(story())
  edit(content.scores, at(content, 'a1/l3:scored'), (event) => {
    const { loginId, loginTimeMs, ...data } = event.data as unknown as Record<string, unknown>
    Object.assign(event, {
      type: 'reset.scored',
      data: { ...data, resetId: loginId, resetTimeMs: loginTimeMs, via: 'sms' },
    })
  })
  await writeAll(content)
  const { I2 } = (await verifyAll(content)).invariants
  expect(I2.byCode).toEqual({ cause_differs: 1 })
  expect(I2.examples[0]?.fields).toMatchObject({ column_name: 'event_type' })
})

test('I3: a feature, a score and a decision of the second type that do not follow are found', async () => {
  const content = await resets.run(story())
  const place = at(content, 'a2/x1:scored')
  const found = content.scores.findLastIndex((record) => read(record).id === 'a2/x1:scored')
  expect(found).toBeGreaterThan(place)
  edit(content.scores, found, ({ data }) => {
    data.features['account_resets__reset_count_30d'] = 5
    data.features['after_login'] = 3
  })
  edit(content.scores, at(content, 'a2/r2:scored'), ({ data }) => {
    data.decision = data.decision === 'block' ? 'approve' : 'block'
  })
  await writeAll(content)
  const { I3 } = (await verifyAll(content)).invariants
  expect(I3.byFeature).toEqual({ account_resets__reset_count_30d: 1, after_login: 1, score: 1, decision: 1 })
})

test('states that rebuild makes have what each type left, the labels of two events with one id included', async () => {
  const content = await resets.run(story())
  await writeAll(content)
  const { committed } = positionsOf(content)
  const made = new Map<string, Uint8Array>()
  await withQuery(async (query) => {
    const options = { query, plan: resets.plan, schema, topics, committed }
    const history = await LakeHistory.open({ ...options, fromWhole: (reading) => reading() })
    await history.limit(await history.reach())
    for (const entity of resets.plan.entities) {
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
  })
  const report = await verifyAll({ ...content, states: made })
  expect(report.invariants.I4, renderVerify(report)).toMatchObject({ violations: 0 })
  expect(report.invariants.I4?.counts).toMatchObject({ 'states compared': 3 })
})

test('the lookup reads scores of each type back as they were published', async () => {
  const content = await resets.run(story())
  await writeAll(content)
  const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog: resets.catalog, listBytesMax: 1 << 20 })
  for (const [id, account] of [
    ['l2', 'a1'],
    ['r1', 'a1'],
    ['r2', 'a2'],
  ] as const) {
    const found = await lookup.scores(id, { aggregateId: account, known: [], max: 2 })
    const text = content.scores
      .map(({ value }) => new TextDecoder().decode(value))
      .find((one) => one.includes(`/${id}:`))
    expect(found).toEqual([
      { aggregateId: account, eventId: id, data: (JSON.parse(text ?? '') as { data: unknown }).data },
    ])
  }
  await lookup.close()
})

test('a background is of events of one type', async () => {
  await writeAll(await resets.run(story()))
  const features = ['account_logins__failure_count_30d']
  const rows = await withQuery(async (query) => {
    const options = { schema, features, rowsMax: 100, spanMs: 30 * dayMs }
    const ofLogins = await sampleBackground(query, { ...options, scored: resets.ofLogins })
    const ofResets = await sampleBackground(query, { ...options, scored: resets.ofResets })
    return [ofLogins?.rows, ofResets?.rows, ofResets?.fromMs]
  })
  expect(rows).toEqual([5, 3, day + 3 * hour])
})

test('a lake that began with one scored type goes on with two: what it has is of the type that it had', async () => {
  const sent = story().filter(({ text }) => !text.includes('reset'))
  const before = await logins.run(sent)
  await write(lake, before, 3, logins.schema, logins.catalog)
  expect(await ask('SELECT DISTINCT event_type FROM scores')).toEqual([{ event_type: 'login.scored' }])
  expect(await ask('SELECT login_id, label FROM logins_training_set ORDER BY 1')).toEqual(
    ['l0', 'l1', 'l2', 'l3', 'x1'].map((login_id) => ({ login_id, label: login_id === 'x1' ? 1 : 0 })),
  )
  expect(await ask('SELECT count(*) AS n FROM resets_training_set')).toEqual([{ n: 0 }])
  const report = await verifyAll(before)
  expect(report.invariants.I2.counts).toMatchObject({ logins: 5, 'scores of logins': 5, resets: 0 })
  expect(report.invariants.I3.counts).toMatchObject({ 'rows of other feature sets': 5 })
  expect(report.invariants.I2.violations + report.invariants.I3.violations).toBe(0)
  const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog: resets.catalog, listBytesMax: 1 << 20 })
  const [found] = await lookup.scores('l1', { aggregateId: 'a1', known: [], max: 2 })
  expect(found?.data).toMatchObject({ loginId: 'l1', country: 'FR' })
  await lookup.close()
})
