import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readScore, ScoreEntry } from '../../../src/serve/scores/score-entry.ts'
import { ScoreSpool, type ScoreSpoolOptions } from '../../../src/serve/scores/score-spool.ts'
import { foundScore, paymentScore, scoreRecord, serveFixture } from '../support/serve-fixture.ts'

let dir: string
let spool: ScoreSpool
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'riverbank-spool-'))))
afterEach(async () => {
  await spool.close()
  rmSync(dir, { recursive: true })
})

const { deps, lines } = serveFixture()
const open = (options: Partial<ScoreSpoolOptions> = {}) => {
  const limits = { dir, capacity: 100, bytesMax: 1 << 24, segmentBytes: 4_000 }
  spool = new ScoreSpool({ ...limits, meter: deps.meter, logger: deps.logger, ...options })
  return spool
}
const entry = (paymentId: string, customerId = 'c-1') => {
  const read = readScore(scoreRecord(paymentScore(paymentId, { customerId }), 0), new Set(['payment.scored']))
  if (!(read instanceof ScoreEntry)) throw new Error('no score')
  return read
}
const find = (eventId: string, aggregateId = 'c-1') => spool.find({ aggregateId, eventId })
const openFiles = () => readdirSync('/proc/self/fd').length

test('scores are found by aggregate and id, and by the id alone', async () => {
  open()
  await spool.add([entry('p-1'), entry('p-2'), entry('p-1', 'c-2')])
  expect(await find('p-1')).toEqual(foundScore(paymentScore('p-1')))
  expect(await find('p-1', 'c-2')).toEqual(foundScore(paymentScore('p-1', { customerId: 'c-2' })))
  expect(await find('p-2', 'c-2')).toBeNull()
  expect((await spool.sharing('p-1', 5)).map(({ aggregateId }) => aggregateId)).toEqual(['c-2', 'c-1'])
  expect(await spool.sharing('p-3', 5)).toEqual([])
  expect(readdirSync(dir), 'files without a name').toEqual([])
})

test('the oldest go when there are too many, with their files', async () => {
  open({ capacity: 10 })
  const before = openFiles()
  for (let n = 0; n < 100; n += 1) await spool.add([entry(`p-${n}`)])
  const found = await Promise.all(Array.from({ length: 100 }, (_, n) => find(`p-${n}`)))
  expect(found.flatMap((score, n) => (score === null ? [] : [n]))).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99])
  // Of about four scores each.
  expect(openFiles() - before).toBeLessThan(6)
})

test('and when they take too much of the disk', async () => {
  open({ bytesMax: 20_000 })
  for (let n = 0; n < 100; n += 1) await spool.add([entry(`p-${n}`)])
  const bytes = /^riverbank_lookup_bytes (\d+)$/m.exec((await deps.meter.expose()).body)?.[1]
  expect(Number(bytes)).toBeLessThanOrEqual(20_000)
  expect(await find('p-99')).not.toBeNull()
  expect(await find('p-0')).toBeNull()
})

test('a score that is read while its file goes is one that is not there', async () => {
  open({ capacity: 1, segmentBytes: 1 })
  await spool.add([entry('p-1')])
  const reading = find('p-1')
  await spool.add([entry('p-2')])
  await spool.add([entry('p-3')])
  expect([null, 'p-1']).toContain((await reading)?.eventId ?? null)
  expect((await find('p-3'))?.eventId).toBe('p-3')
})

test('a disk that fails ends the spool and nothing else', async () => {
  const blocked = join(dir, 'file')
  writeFileSync(blocked, '')
  open({ dir: blocked })
  await spool.add([entry('p-1')])
  await spool.add([entry('p-2')])
  expect([await find('p-1'), await find('p-2'), await spool.sharing('p-2', 5)]).toEqual([null, null, []])
  expect(lines().filter(({ message }) => message === 'the newest scores are not kept on disk any more')).toHaveLength(1)
})
