import { afterEach, beforeEach, expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { openLake, type Lake } from '../../../src/lake/lake.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { tempFolder } from '../support/feed.ts'
import { positionsOf, read, run, story, verify, write } from './support/world.ts'

let folder: ReturnType<typeof tempFolder>
let lake: Lake
beforeEach(async () => {
  folder = tempFolder()
  lake = await openLake({ dir: folder.dir })
})
afterEach(() => folder.remove())

const featureCount = compileManifest(riverbank).features.length
const seed = Math.floor(Math.random() * 1e9)

test(`I1 I2 I3 I5: late, out-of-order, repeated and poisonous events verify, whatever the order (seed ${seed})`, async () => {
  const content = await run(story(seed))
  await write(lake, content)
  const report = await verify(lake, { positions: positionsOf(content) })
  expect(report, renderVerify(report)).toMatchObject({ ok: true, mismatches: 0, violations: 0, frontier: 'committed' })
  const { I1, I2, I3, I5 } = report.invariants
  const scored = content.scores.map(read).filter(({ type }) => type === 'payment.scored')
  expect(I2.counts).toMatchObject({ payments: 120, scores: 120, copies: 0 })
  expect(I3.counts).toMatchObject({ 'score rows': 120, values: 120 * featureCount, 'scores recomputed': 120 })
  expect(I1.counts).toMatchObject({ 'events applied': content.scores.length, customers: 3, terminals: 2 })
  expect(I1.counts['duplicates']).toBeGreaterThan(0)
  expect(I5.counts).toMatchObject({ offsets: content.events.length + content.scores.length })
  expect(scored.some(({ data }) => data.entities['customer']?.outcome === 'too_late')).toBe(true)
  expect(report.pending).toEqual({ eventRecords: 0, scoreRecords: 0, payments: 0, otherEvents: 0, reads: 0 })
})
