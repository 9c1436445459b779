import { expect, test } from 'vitest'
import { catalogOf } from '../../../src/lake/tables/sql-catalog.ts'
import type { LakeSchema } from '../../../src/lake/tables/lake-schema.ts'
import {
  batchOf,
  claimOf,
  day,
  fraud,
  manifest,
  materializer,
  observed,
  payment,
  record,
  schema,
  schemaOf,
  score,
  topics,
} from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { ask } from '../support/read.ts'

const hour = 3_600_000

async function feed(change: { readonly schema?: LakeSchema }, topic: string, values: readonly string[], from = 0) {
  const m = await materializer(lake, change)
  const assignment = claimOf(topic, 0)
  await m.assigned(assignment)
  await m.batch(
    assignment,
    batchOf(values.map((value, i) => record(topic, from + i, value, { appendTimeMs: day + 10 * hour }))),
  )
  await m.stop()
}

test('an empty lake has every relation, with its columns', async () => {
  for (const relation of ['events', 'scores', 'observations', 'unreadable', 'payments', 'labels', 'training_set']) {
    expect(await ask(lake, `SELECT * FROM ${relation}`)).toEqual([])
  }
  expect(await ask(lake, "SELECT * FROM training_set_as_of(TIMESTAMP '2026-01-01')")).toEqual([])
  const columns = await ask(lake, 'DESCRIBE scores')
  expect(columns.find((column) => column['column_name'] === 'spend__mean_7d')).toMatchObject({ column_type: 'DOUBLE' })
})

test('payments and labels count the first copy of each event, per customer', async () => {
  const other = payment('p1', day, { customerId: 'c2' }).replace('"subject":"c1"', '"subject":"c2"')
  await feed({}, topics.events, [
    payment('p1', day),
    payment('p2', day),
    payment('p1', day),
    other,
    fraud('f1', 'p1', day + 1, day),
    fraud('f1', 'p1', day + 1, day),
    fraud('f2', 'p7', day + 1, day),
    fraud('f3', 'p1', day + 2, day),
  ])
  // The copy of a label has no row, and one of them counts nowhere.
  await feed({}, topics.scores, [
    observed('o1', 'f1', 4),
    observed('o2', 'f2', 6, 'unknown_subject'),
    observed('o3', 'f3', 7, 'applied', 12),
    observed('o3', 'f3', 7, 'applied', 12),
  ])
  expect(await ask(lake, 'SELECT payment_id, customer_id, log_offset FROM payments ORDER BY log_offset')).toEqual([
    { payment_id: 'p1', customer_id: 'c1', log_offset: 0 },
    { payment_id: 'p2', customer_id: 'c1', log_offset: 1 },
    { payment_id: 'p1', customer_id: 'c2', log_offset: 3 },
  ])
  expect(await ask(lake, 'SELECT label_id, payment_id, label_kind, payment_time FROM labels')).toEqual([
    { label_id: 'f3', payment_id: 'p1', label_kind: 'chargeback', payment_time: day },
  ])
  expect(await ask(lake, 'SELECT label_id, counts, outcome FROM label_events ORDER BY label_id')).toEqual([
    { label_id: 'f1', counts: true, outcome: 'too_late' },
    { label_id: 'f2', counts: false, outcome: 'unknown_subject' },
    { label_id: 'f3', counts: true, outcome: 'applied' },
  ])
})

test('a label counts for training however late it comes, if its payment is what it says', async () => {
  const other = { amountMinor: 1 }
  await feed({}, topics.events, [
    payment('p1', day - 60 * 24 * hour),
    fraud('f1', 'p1', day, day - 60 * 24 * hour),
    fraud('f2', 'p1', day + 1, day - 60 * 24 * hour, other),
    fraud('f3', 'p9', day + 1, day),
  ])
  await feed(
    {},
    topics.scores,
    [1, 2, 3].map((at) => observed(`o${at}`, `f${at}`, at, 'unknown_subject', at)),
  )
  expect(await ask(lake, 'SELECT label_id, counts, outcome FROM label_events ORDER BY label_id')).toEqual([
    { label_id: 'f1', counts: true, outcome: 'unknown_subject' },
    { label_id: 'f2', counts: false, outcome: 'unknown_subject' },
    { label_id: 'f3', counts: false, outcome: 'unknown_subject' },
  ])
  expect(await ask(lake, 'SELECT label_id FROM labels')).toEqual([{ label_id: 'f1' }])
})

test('a label that waited counts once, and one that was sent again and again', async () => {
  await feed({}, topics.events, [
    fraud('f1', 'p1', day + 2, day),
    payment('p1', day),
    fraud('f1', 'p1', day + 2, day),
    payment('p2', day - 60 * 24 * hour),
    fraud('f2', 'p2', day, day - 60 * 24 * hour),
    fraud('f2', 'p2', day, day - 60 * 24 * hour),
  ])
  await feed({}, topics.scores, [
    observed('o1', 'f1', 0, 'unknown_subject', 1),
    observed('o2', 'f1', 2, 'applied', 3),
    observed('o3', 'f2', 4, 'unknown_subject', 4),
    observed('o4', 'f2', 5, 'unknown_subject', 5),
  ])
  expect(await ask(lake, 'SELECT label_id, log_offset FROM label_events WHERE counts ORDER BY ALL')).toEqual([
    { label_id: 'f1', log_offset: 2 },
    { label_id: 'f2', log_offset: 5 },
  ])
})

test('of two payments with one id of a customer the one stands that was scored, whichever came first', async () => {
  await feed({}, topics.events, [payment('p1', day, { amountMinor: 100 }), payment('p2', day)])
  await feed({}, topics.events, [payment('p1', day, { amountMinor: 999 })], 2)
  await feed({}, topics.scores, [score('s1', 'p1', day, '{}', 2)])
  expect(await ask(lake, 'SELECT payment_id, amount_minor, log_offset FROM payments ORDER BY ALL')).toEqual([
    { payment_id: 'p1', amount_minor: 999, log_offset: 2 },
    { payment_id: 'p2', amount_minor: 1234, log_offset: 1 },
  ])
})

test('the label of a payment is the newest by its own time, whichever came last', async () => {
  await feed({}, topics.events, [payment('p1', day), fraud('f2', 'p1', day + 2, day), fraud('f1', 'p1', day + 1, day)])
  await feed({}, topics.scores, [observed('o2', 'f2', 1, 'applied', 8), observed('o1', 'f1', 2, 'applied', 9)])
  expect(await ask(lake, 'SELECT label_id FROM labels')).toEqual([{ label_id: 'f2' }])
})

test('a training set knows the labels reported by its cut-off, and no payment after it', async () => {
  const later = payment('p3', day + 3 * hour)
  await feed({}, topics.events, [
    payment('p1', day),
    payment('p2', day),
    later,
    fraud('f1', 'p1', day + hour, day),
    fraud('f2', 'p2', day + 2 * hour, day),
  ])
  const scored = (id: string, timeMs: number) =>
    score(`s${id}`, id, timeMs, '{"spend__count_7d":4,"spend__mean_7d":0.5}')
  await feed({}, topics.scores, [scored('p1', day), scored('p2', day), scored('p1', day), scored('p3', day + 3 * hour)])
  await feed({}, topics.scores, [observed('o1', 'f1', 3), observed('o2', 'f2', 4)], 4)
  const labelled = 'SELECT payment_id, label FROM'
  expect(await ask(lake, `${labelled} training_set ORDER BY 1`)).toEqual([
    { payment_id: 'p1', label: 1 },
    { payment_id: 'p2', label: 1 },
    { payment_id: 'p3', label: 0 },
  ])
  const asOf = (time: string) => ask(lake, `${labelled} training_set_as_of(TIMESTAMP '2026-03-01 ${time}') ORDER BY 1`)
  expect(await asOf('01:00:00')).toEqual([
    { payment_id: 'p1', label: 1 },
    { payment_id: 'p2', label: 0 },
  ])
  expect(await asOf('00:59:59.999')).toEqual([
    { payment_id: 'p1', label: 0 },
    { payment_id: 'p2', label: 0 },
  ])
  const [row] = await ask(lake, "SELECT * FROM training_set WHERE payment_id = 'p1'")
  expect(row).toMatchObject({
    spend__count_7d: 4,
    spend__mean_7d: 0.5,
    label_kind: 'chargeback',
    reported_time_ms: day + hour,
  })
})

test('files of an older feature set are read with the newest columns, and a count that became a mean is a double', async () => {
  const [count, mean] = manifest.features
  if (count === undefined || mean === undefined) throw new Error('the manifest has two features')
  const newer = {
    ...manifest,
    features: [
      { ...count, type: 'double' as const },
      { ...mean, name: 'spend__sum_7d' },
    ],
  }
  await feed({}, topics.scores, [score('s1', 'p1', day, '{"spend__count_7d":4,"spend__mean_7d":0.5}')])
  await feed(
    { schema: schemaOf(newer) },
    topics.scores,
    [score('s2', 'p2', day, '{"spend__count_7d":4.5,"spend__sum_7d":-0}')],
    1,
  )
  const rows = await ask(
    lake,
    'SELECT spend__count_7d AS c, spend__mean_7d AS m, spend__sum_7d AS s FROM scores ORDER BY log_offset',
  )
  expect(rows).toEqual([
    { c: 4, m: 0.5, s: null },
    { c: 4.5, m: null, s: -0 },
  ])
  const types = await ask(lake, 'SELECT typeof(spend__count_7d) AS t FROM scores')
  expect(types).toEqual([{ t: 'DOUBLE' }, { t: 'DOUBLE' }])
})

test('the number of an incarnation is read from files that call it by its former name', async () => {
  await feed({}, topics.scores, [score('s1', 'p1', day, '{"spend__count_7d":4,"spend__mean_7d":0.5}')])
  const snapshot = await lake.snapshot()
  const former = snapshot.schemas.map((one) => ({
    ...one,
    columns: one.columns.map((column) => ({ ...column, name: column.name.replace(/_incarnation$/, '_born') })),
  }))
  const view = catalogOf(lake, { ...snapshot, schemas: former }, schema).setup.find((sql) => / VIEW scores /.test(sql))
  expect(view).toContain('"customer_born"::BIGINT AS "customer_incarnation"')
})

test('columns whose types have nothing in common are an error, not text', async () => {
  const snapshot = await lake.snapshot()
  const columns = [{ name: 'score', type: 'VARCHAR' as const }]
  const file = {
    path: 'scores/dt=2026-03-01/x.parquet',
    table: 'scores' as const,
    schemaId: 'x',
    topic: 's',
    partition: 0,
  }
  const entry = {
    ...file,
    firstOffset: 0,
    lastOffset: 0,
    rows: 1,
    bytes: 1,
    sha256: '',
    minEventTimeMs: null,
    maxEventTimeMs: null,
  }
  const broken = { ...snapshot, files: [entry], schemas: [{ id: 'x', table: 'scores' as const, columns }] }
  expect(() => catalogOf(lake, broken, schema)).toThrow(/scores\.score is/)
  expect(() => catalogOf(lake, { ...broken, schemas: [] }, schema)).toThrow(/schema that no version declares/)
})
