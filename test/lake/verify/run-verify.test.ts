import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { renderVerify, runVerify } from '../../../src/app/installation/lake/verify.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { PartitionRange } from '../../../src/ports/log.ts'
import { tempFolder, topics } from '../support/feed.ts'
import { positionsOf, run, story, write } from './support/world.ts'

let folder: ReturnType<typeof tempFolder>
beforeEach(() => void (folder = tempFolder()))
afterEach(() => folder.remove())

test('the command finds the lake and the log by the configuration, and says what it left out', async () => {
  const config = readConfig({ RIVERBANK_DATA_DIR: folder.dir, RIVERBANK_MODELS_DIR: join(folder.dir, 'none') })
  const content = await run(story(7))
  await write(await openLake({ dir: join(folder.dir, 'lake') }), content)
  const { ends, committed } = positionsOf(content)
  const log = {
    driver: 'redis' as const,
    describeTopic: (topic: string) => {
      const ranges = [0, 1].map((partition): PartitionRange => {
        return { partition, start: 0, end: ends.get(`${topic}/${partition}`) ?? 0 }
      })
      return Promise.resolve(ranges)
    },
    committed: (_group: string, topic: string) => Promise.resolve(topic === topics.events ? committed : new Map()),
    members: () => Promise.resolve(1),
    tail: () => Promise.reject(new Error('the lake lacks nothing, so nothing is read from the log')),
  }
  const lines: string[] = []
  const report = await runVerify(config, {
    log,
    fast: true,
    statesPerEntity: 0,
    onProgress: (line) => lines.push(line),
  })
  const text = renderVerify(report)
  expect(report, text).toMatchObject({ ok: true, mismatches: 0, watermark: 'committed' })
  expect(report.notes).toEqual([
    'states were not compared: no store',
    'scores were not recomputed: no model',
    'checksums of files were not compared',
  ])
  expect(report.invariants.I3.counts['score rows']).toBe(120)
  expect(text).toMatch(/^I1 {2}apply once {3}ok /)
  expect(text).toMatch(/\nok: lake version \d+, /)
  expect(lines).toContain('verify: features')
  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
})
