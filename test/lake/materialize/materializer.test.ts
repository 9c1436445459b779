import { readdirSync, writeFileSync, mkdirSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { dayMs } from '../../../src/base/units.ts'
import { findDamage } from '../../../src/lake/commit/damage.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import {
  batchOf,
  claimOf,
  day,
  fraud,
  materializer,
  observed,
  payment,
  record,
  score,
  topics,
  type TestClaim,
} from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { ask, offsets, range, until } from '../support/read.ts'

const payments = (from: number, to: number): LogRecord[] =>
  range(from, to).map((i) => record(topics.events, i, payment(`p${i}`, day + i)))

test('an event becomes a row with its fields, its text and its position', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  expect(await m.assigned(assignment)).toBe(0)
  const text = payment('p1', day - 5)
  const headers = { traceparent: '00-a-b-01', 'riverbank-attempts': '2' }
  const label = fraud('f1', 'p1', day, day - 5)
  expect(
    await m.batch(
      assignment,
      batchOf([record(topics.events, 3, text, { headers }), record(topics.events, 9, label)], 12),
    ),
  ).toBe(12)
  await m.flush()
  expect(assignment.commits).toEqual([12])
  expect(await lake.covered(topics.events, 0)).toBe(12)
  const rows = await ask(lake, 'SELECT * FROM events ORDER BY log_offset')
  expect(rows[0]).toMatchObject({
    event_id: 'p1',
    event_type: 'payment.initiated',
    version: 2,
    event_time: day - 5,
    event_time_ms: day - 5,
    customer_id: 'c1',
    terminal_id: 't1',
    amount_minor: 1234,
    currency: 'EUR',
    payment_id: 'p1',
    label_kind: null,
    valid: true,
    error_code: null,
    raw: null,
    body: text,
    traceparent: '00-a-b-01',
    headers: '{"riverbank-attempts":"2"}',
    log_offset: 3,
    append_time_ms: day + 3,
  })
  expect(rows[1]).toMatchObject({
    payment_id: 'p1',
    label_kind: 'chargeback',
    observed_time_ms: day - 5,
    event_time_ms: day,
  })
  const [file] = (await lake.snapshot()).files
  expect(file).toMatchObject({ firstOffset: 3, lastOffset: 9, rows: 2, minEventTimeMs: day - 5, maxEventTimeMs: day })
  expect(file?.path).toMatch(/^events\/dt=2026-03-01\/payments\.events-0-3-9\.[0-9a-f]{8}\.parquet$/)
  await m.stop()
})

test('I5: what cannot be decoded has its row and its bytes, in either topic', async () => {
  const m = await materializer(lake)
  const bytes = new Uint8Array([0xff, 0x00, 0xfe])
  const bad: (string | Uint8Array)[] = [
    bytes,
    '{',
    '',
    '{"id":"x"}',
    payment('p', day, { amountMinor: -1 }),
    'x'.repeat(70_000),
  ]
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  await m.batch(assignment, batchOf(bad.map((value, i) => record(topics.events, i, value))))
  const scores = claimOf(topics.scores, 0)
  await m.assigned(scores)
  const wrong = [...bad, score('s', 'p', day, '{"a":"text"}')].map((value, i) => record(topics.scores, i, value))
  await m.batch(scores, batchOf(wrong))
  await m.flush()
  const rows = await ask(lake, 'SELECT * FROM events ORDER BY log_offset')
  expect(rows.map((row) => row['error_code'])).toEqual([
    'undecodable_bytes',
    'invalid_json',
    'invalid_json',
    'invalid_envelope',
    'invalid_amount',
    'event_too_large',
  ])
  expect(rows.every((row) => row['valid'] === false && row['body'] === null)).toBe(true)
  expect(new Uint8Array(rows[0]?.['raw'] as Uint8Array)).toEqual(bytes)
  expect((rows[5]?.['raw'] as Uint8Array).length).toBe(70_000)
  const unreadable = await ask(lake, 'SELECT * FROM unreadable ORDER BY log_offset')
  expect(unreadable.map((row) => row['error_code'])).toEqual([
    'undecodable_bytes',
    'invalid_json',
    'invalid_json',
    'invalid_envelope',
    'unknown_event_type',
    'invalid_json',
    'invalid_data',
  ])
  expect(new Uint8Array(unreadable[0]?.['raw'] as Uint8Array)).toEqual(bytes)
  await m.stop()
})

test('I3: features keep their bits, -0 and neighbours of other values included', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.scores, 0)
  await m.assigned(assignment)
  const values = [
    '-0',
    '0',
    '0.1',
    '0.30000000000000004',
    '5e-324',
    '1.7976931348623157e308',
    '-0',
    '0',
    '1e-7',
    'null',
  ]
  const many = Array.from({ length: 3000 }, (_, i) => values[i % values.length] ?? '0')
  const records = many.map((value, i) => {
    const features = `{"spend__mean_7d":${value},"spend__count_7d":${i % 3 === 0 ? 'null' : String(2 ** 53 - 1)}}`
    return record(topics.scores, i, score(`s${i}`, `p${i}`, day, features))
  })
  await m.batch(assignment, batchOf(records))
  await m.flush()
  const rows = await ask(lake, 'SELECT spend__mean_7d, spend__count_7d FROM scores ORDER BY log_offset')
  const wrong = rows.filter((row, i) => !Object.is(row['spend__mean_7d'], JSON.parse(many[i] ?? '')))
  expect(wrong).toEqual([])
  expect(rows.slice(0, 2).map((row) => row['spend__count_7d'])).toEqual([null, 2 ** 53 - 1])
  await m.stop()
})

test('a score of another feature set loses nothing; observations carry their entities', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.scores, 0)
  await m.assigned(assignment)
  const first = record(
    topics.scores,
    0,
    score('s0', 'p0', day, '{"spend__count_7d":1.5,"unheard_of":2,"spend__mean_7d":3}'),
  )
  await m.batch(assignment, batchOf([first, record(topics.scores, 1, observed('o1', 'f1', 44))]))
  await m.flush()
  const [row] = await ask(lake, 'SELECT * FROM scores')
  expect(row).toMatchObject({
    spend__count_7d: null,
    spend__mean_7d: 3,
    customer_terminal_id: 'c1|t1',
    terminal_sequence: 7,
  })
  expect(JSON.parse(String(row?.['unmapped']))).toEqual({
    entities: {},
    features: { spend__count_7d: 1.5, unheard_of: 2 },
  })
  const [seen] = await ask(lake, 'SELECT * FROM observations')
  expect(seen).toMatchObject({
    observed_id: 'f1',
    customer_id: 'c1',
    customer_sequence: 9,
    customer_outcome: 'too_late',
    terminal_id: null,
    source_offset: 44,
    log_offset: 1,
  })
  await m.stop()
})

test('a flush is split where the date of the log changes, back and forth', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  const records = [0, 0, dayMs, 0, dayMs].map((later, i) =>
    record(topics.events, i, payment(`p${i}`, day), { appendTimeMs: day + dayMs - 10 + (later === 0 ? 0 : 20) }),
  )
  await m.batch(assignment, batchOf(records))
  await m.flush()
  const { files, version } = await lake.snapshot()
  expect(files.map(({ path }) => path.replace(/\.[0-9a-f]{8}\./, '.'))).toEqual([
    'events/dt=2026-03-01/payments.events-0-0-1.parquet',
    'events/dt=2026-03-02/payments.events-0-2-2.parquet',
    'events/dt=2026-03-01/payments.events-0-3-3.parquet',
    'events/dt=2026-03-02/payments.events-0-4-4.parquet',
  ])
  expect(version).toBe(2)
  expect(await offsets(lake, topics.events)).toEqual(range(0, 5))
  await m.stop()
})

test('rows are written when there are enough, when they are large, and when they are old', async () => {
  const byRows = await materializer(lake, { flushRows: 10 })
  const assignment = claimOf(topics.events, 0)
  await byRows.assigned(assignment)
  await byRows.batch(assignment, batchOf(payments(0, 9)))
  expect(assignment.commits).toEqual([])
  await byRows.batch(assignment, batchOf(payments(9, 10)))
  expect(assignment.commits).toEqual([10])
  await byRows.stop()

  const byBytes = await materializer(lake, { bufferBytes: 1000 })
  const second: TestClaim = { ...claimOf(topics.events, 0), committed: 10 }
  await byBytes.assigned(second)
  await byBytes.batch(second, batchOf(payments(10, 15)))
  expect(second.commits).toEqual([15])
  await byBytes.stop()

  const byTime = await materializer(lake, { flushMs: 20 })
  const third: TestClaim = { ...claimOf(topics.events, 0), committed: 15 }
  await byTime.assigned(third)
  await byTime.batch(third, batchOf(payments(15, 16)))
  await until(() => third.commits.length === 1)
  expect(await offsets(lake, topics.events)).toEqual(range(0, 16))
  await byTime.stop()
})

test('what the last owner wrote and did not commit is committed by the next, also where nothing follows', async () => {
  const first = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  assignment.refuse = new RiverbankError('log_unavailable', 'gone', { canRetry: true })
  await first.assigned(assignment)
  await first.batch(assignment, batchOf(payments(0, 5)))
  await first.stop()
  expect(assignment.commits).toEqual([])

  const next = await materializer(lake)
  const later: TestClaim = { ...claimOf(topics.events, 0), committed: 2 }
  expect(await next.assigned(later)).toBe(5)
  expect(later.commits).toEqual([5])
  await next.stop()
})

test('a restart resumes where the manifest ends, whatever the group says', async () => {
  const first = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await first.assigned(assignment)
  assignment.refuse = new RiverbankError('log_unavailable', 'gone', { canRetry: true })
  await first.batch(assignment, batchOf(payments(0, 7)))
  await first.flush()
  await first.batch(assignment, batchOf(payments(7, 9)))
  const second = await materializer(await openLake({ dir: folder.dir }))
  const again = claimOf(topics.events, 0)
  expect(await second.assigned(again)).toBe(7)
  await second.batch(again, batchOf(payments(5, 12)))
  await second.flush()
  expect(await offsets(lake, topics.events)).toEqual(range(0, 12))
  await second.stop()
})

test('I5: of two materializers with one partition the former owner loses, and leaves no file', async () => {
  const zombie = await materializer(lake)
  const old = claimOf(topics.events, 0)
  await zombie.assigned(old)
  await zombie.batch(old, batchOf(payments(0, 5)))
  const heir = await materializer(await openLake({ dir: folder.dir }))
  const assignment = claimOf(topics.events, 0)
  expect(await heir.assigned(assignment)).toBe(0)
  await heir.batch(assignment, batchOf(payments(0, 8)))
  old.refuse = new RiverbankError('fenced', 'not yours')
  old.abort.abort()
  await expect(zombie.flush()).rejects.toMatchObject({ code: 'fenced' })
  expect(zombie.lines.some(({ fields }) => fields['code'] === 'lake_conflict')).toBe(true)
  await heir.flush()
  expect(await offsets(lake, topics.events)).toEqual(range(0, 8))
  expect(readdirSync(join(folder.dir, 'events/dt=2026-03-01'))).toHaveLength(1)
  await heir.stop()
})

test('an owner whose partition was taken by mistake takes it back and reads on where the lake ends', async () => {
  const owner = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await owner.assigned(assignment)
  await owner.batch(assignment, batchOf(payments(0, 5)))
  const thief = await materializer(await openLake({ dir: folder.dir }))
  const stolen = claimOf(topics.events, 0)
  await thief.assigned(stolen)
  await thief.batch(stolen, batchOf(payments(0, 3)))
  await thief.flush()
  await owner.flush()
  // Its buffer is gone: the next batch is not taken, and reading goes back.
  expect(await owner.batch(assignment, batchOf(payments(5, 8)))).toBe(3)
  expect(await owner.batch(assignment, batchOf(payments(3, 8)))).toBe(8)
  await owner.flush()
  expect(await offsets(lake, topics.events)).toEqual(range(0, 8))
  await thief.stop()
  await owner.stop()
})

test('I5: two materializers that fight for a partition write every offset once', async () => {
  const lakes = await Promise.all([openLake({ dir: folder.dir }), openLake({ dir: folder.dir })])
  const members = await Promise.all(lakes.map((each) => materializer(each, { flushRows: 7, orphanGraceMs: 60_000 })))
  const end = 60
  await Promise.all(
    members.map(async (member) => {
      const assignment = claimOf(topics.events, 0)
      let next = await member.assigned(assignment)
      for (let turns = 0; next < end && turns < 500; turns += 1) {
        next = await member.batch(assignment, batchOf(payments(next, Math.min(next + 5, end))))
      }
      await member.flush()
    }),
  )
  // Whoever lost last has given its rows up: a final owner completes the range.
  const last = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  const from = await last.assigned(assignment)
  if (from < end) await last.batch(assignment, batchOf(payments(from, end)))
  await last.flush()
  expect(await offsets(lake, topics.events)).toEqual(range(0, end))
  const onDisk = readdirSync(join(folder.dir, 'events/dt=2026-03-01'))
  expect(onDisk).toHaveLength((await lake.snapshot()).files.length)
  await Promise.all([...members, last].map((member) => member.stop()))
})

test('orphans of the own partition are removed on assignment, younger ones and other files stay', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  await m.batch(assignment, batchOf(payments(0, 3)))
  await m.flush()
  const folderOf = join(folder.dir, 'events/dt=2026-03-01')
  mkdirSync(join(folder.dir, '_staging'), { recursive: true })
  const orphans = [
    join(folderOf, 'payments.events-0-3-4.00000000.parquet'),
    join(folder.dir, '_staging', 'payments.events-0-3-4.1.parquet'),
  ]
  const others = [join(folderOf, 'payments.events-1-3-4.00000000.parquet')]
  for (const path of [...orphans, ...others]) writeFileSync(path, 'PAR1')
  const patient = await materializer(lake, { orphanGraceMs: 60_000 })
  await patient.assigned(claimOf(topics.events, 0))
  expect(orphans.every((path) => existsSync(path))).toBe(true)
  expect(await offsets(lake, topics.events)).toEqual([0, 1, 2])
  const eager = await materializer(lake)
  await eager.assigned(claimOf(topics.events, 0))
  expect(orphans.some((path) => existsSync(path))).toBe(false)
  expect(others.every((path) => existsSync(path))).toBe(true)
  expect(await findDamage(lake, (await lake.snapshot()).files)).toEqual([])
  await Promise.all([m.stop(), patient.stop(), eager.stop()])
})

test('a write that fails in the background is reported once, and again by the next batch', async () => {
  const failures: unknown[] = []
  const writer = {
    write: () => Promise.reject(new RiverbankError('lake_write_failed', 'disk full', { canRetry: true })),
    merge: () => Promise.resolve(0),
    close: () => Promise.resolve(),
  }
  const m = await materializer(lake, { flushMs: 10, writer, onFailure: (error) => failures.push(error) })
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  await m.batch(assignment, batchOf(payments(0, 3)))
  await until(() => failures.length === 1)
  await expect(m.batch(assignment, batchOf(payments(3, 4)))).rejects.toMatchObject({ code: 'lake_write_failed' })
  expect(assignment.commits).toEqual([])
  expect(await lake.covered(topics.events, 0)).toBe(null)
})

test('a partition that was released is not written any more', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  await m.batch(assignment, batchOf(payments(0, 3)))
  assignment.abort.abort()
  await m.released?.(assignment)
  await m.flush()
  expect((await lake.snapshot()).files).toEqual([])
  await expect(m.batch(assignment, batchOf(payments(3, 4)))).rejects.toMatchObject({ code: 'fenced' })
  await m.stop()
})
