import { expect, test } from 'vitest'
import { batchOf, claimOf, day, materializer, payment, record, topics } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { ask } from '../support/read.ts'

test('an event in binary mode becomes the row of the same event in structured mode; raw has the bytes of its data', async () => {
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  const text = payment('p1', day - 5)
  const { data, specversion, id, type, source, subject, time, dataschema } = JSON.parse(text) as Record<string, string>
  const attributes = Object.entries({ specversion, id, type, source, subject, time, dataschema })
  const headers = Object.fromEntries(attributes.map(([name, value]) => [`ce_${name}`, value ?? '']))
  const value = JSON.stringify(data, null, 1)
  await m.batch(assignment, batchOf([record(topics.events, 3, text), record(topics.events, 4, value, { headers })], 5))
  await m.flush()
  const columns = '* EXCLUDE (log_offset, append_time_ms)'
  const [structured, binary] = await ask(lake, `SELECT ${columns} FROM events ORDER BY log_offset`)
  expect(structured).toMatchObject({ body: text, valid: true })
  expect(binary).toEqual({ ...structured, raw: expect.anything(), headers: expect.stringContaining('"ce_id":"p1"') })
  const [kept] = await ask(lake, 'SELECT decode(raw) AS raw FROM events WHERE log_offset = 4')
  expect(kept).toEqual({ raw: value })
})
