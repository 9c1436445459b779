import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { checkLake } from '../../../src/lake/check/lake-check.ts'
import type { FileEntry } from '../../../src/lake/commit/commit.ts'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { explainRepair } from '../../../src/lake/repair/repair.ts'
import { redisAvailable } from '../../support/redis-server.ts'
import { flipBit } from '../support/damage.ts'
import { topics, writerOptions } from '../support/feed.ts'
import { ask, offsets, range } from '../support/read.ts'
import { LogLake } from './support/log-lake.ts'

const total = 12
const rows = `SELECT * EXCLUDE materialized_at_ms FROM scores ORDER BY log_offset`

describe.skipIf(redisAvailable() !== null)('a lake that is repaired', () => {
  let world: LogLake
  beforeEach(async () => {
    world = await LogLake.start()
    await world.publish(total)
    await world.materialize(3)
  })
  afterEach(() => world.stop())

  const commitName = (version: number) => `${String(version).padStart(20, '0')}.json`
  const commitPath = (version: number) => join(world.dir, '_log', commitName(version))
  const check = async () => (await checkLake({ dir: world.dir })).report
  async function fileOf(table: string, firstOffset: number): Promise<FileEntry> {
    const { files } = await (await world.open()).snapshot()
    const found = files.find((file) => file.table === table && file.firstOffset === firstOffset)
    if (found === undefined) throw new Error(`no file of ${table} at ${firstOffset}`)
    return found
  }
  async function isWhole(): Promise<void> {
    expect(await check()).toMatchObject({ ok: true, damaged: [], lost: [] })
    const lake = await world.open()
    for (const topic of Object.values(topics)) expect(await offsets(lake, topic)).toEqual(range(0, total))
  }
  /** The version of the commit that added a file. */
  function versionOf({ path }: FileEntry): number {
    const names = readdirSync(join(world.dir, '_log')).filter((name) => /^\d{20}\.json$/.test(name))
    const found = names.find((name) => readFileSync(join(world.dir, '_log', name), 'utf8').includes(path))
    return Number((found ?? '0').slice(0, 20))
  }

  it('I5: reads a damaged file and a missing one from the log again, with the same rows', async () => {
    const before = await ask(await world.open(), rows)
    const damaged = await fileOf('scores', 3)
    flipBit(join(world.dir, damaged.path))
    rmSync(join(world.dir, (await fileOf('events', 6)).path))
    const result = await world.repair()
    expect(result.done.map(({ kind }) => kind)).toEqual(['read_file_again', 'read_file_again'])
    await isWhole()
    expect(await ask(await world.open(), rows)).toEqual(before)
    expect(existsSync(join(world.dir, '_quarantine', damaged.path))).toBe(true)
    expect(await world.repair()).toMatchObject({ done: [], left: [] })
  })

  it('takes a file and a commit from a copy, byte for byte, also without a log', async () => {
    world.copy()
    const damaged = await fileOf('events', 3)
    const version = versionOf(await fileOf('scores', 3))
    flipBit(join(world.dir, damaged.path))
    rmSync(commitPath(version))
    const result = await world.repair({ log: null, copyDir: world.copyDir })
    expect(result.done.map(({ kind }) => kind)).toEqual(['restore_commit', 'restore_file'])
    await isWhole()
    for (const path of [damaged.path, `_log/${commitName(version)}`]) {
      expect(readFileSync(join(world.dir, path))).toEqual(readFileSync(join(world.copyDir, path)))
    }
  })

  it("takes nothing from a copy that is not the lake's", async () => {
    world.copy()
    const damaged = await fileOf('events', 3)
    flipBit(join(world.dir, damaged.path))
    flipBit(join(world.copyDir, damaged.path))
    const result = await world.repair({ log: null, copyDir: world.copyDir })
    expect(result).toMatchObject({ done: [], left: [{ what: expect.stringContaining(damaged.path) as string }] })
    expect(result.check.ok).toBe(false)
  })

  it('I5: reads again what a missing commit had covered, and the chain goes on', async () => {
    const version = versionOf(await fileOf('scores', 3))
    rmSync(commitPath(version))
    await expect((await world.open()).snapshot()).rejects.toMatchObject({ code: 'lake_corrupt' })
    const result = await world.repair()
    expect(result.done.map(({ kind }) => kind)).toEqual(['begin_anew', 'read_range_again'])
    await isWhole()
    await world.materialize(3)
    await isWhole()
  })

  it('I5: goes on below the last commits when they are missing, and the materializer reads them again', async () => {
    const last = versionOf(await fileOf('scores', 9))
    rmSync(commitPath(last))
    rmSync(commitPath(last - 1))
    await expect((await world.open()).snapshot()).rejects.toMatchObject({ code: 'lake_corrupt' })
    expect((await world.repair()).done.map(({ kind }) => kind)).toEqual(['begin_anew'])
    await world.materialize(4)
    await isWhole()
  })

  it('I5: what only the last commit named stays on disk, where the log has dropped it', async () => {
    const kept = await fileOf('scores', 9)
    rmSync(commitPath(versionOf(kept)))
    const { log, dir } = world
    expect(await world.repair({ log: null })).toMatchObject({
      done: [],
      left: [{ why: expect.stringContaining('was not asked') as string }],
    })
    await log.truncate(topics.scores, 0, total)
    const positions = expect.stringContaining('offsets 9 to 11') as string
    const refused = await world.repair()
    expect(refused.done).toEqual([])
    expect(refused.left.map(({ what }) => what)).toContainEqual(positions)
    const declared = await world.repair({ declareLost: true })
    expect(declared.done.map(({ kind }) => kind)).toEqual(['begin_anew', 'declare_range_lost'])
    await world.materialize(4)
    expect(existsSync(join(dir, kept.path))).toBe(true)
    const { lost, unnamed } = await check()
    expect(lost).toMatchObject([{ topic: topics.scores, firstOffset: 9, lastOffset: 11 }])
    expect(unnamed).toMatchObject([{ path: kept.path }])
  })

  it.each([
    ['truncated', (version: number) => writeFileSync(commitPath(version), '{"format":2,')],
    [
      'altered',
      (version: number) =>
        writeFileSync(commitPath(version), readFileSync(commitPath(version), 'utf8').replace('"rows":3', '"rows":2')),
    ],
  ])('puts a %s commit aside, and keeps it', async (_name, damage) => {
    const version = versionOf(await fileOf('events', 6))
    damage(version)
    await world.repair()
    await isWhole()
    expect(readdirSync(join(world.dir, '_quarantine/_log'))).toContain(commitName(version))
  })

  it('a missing head is written anew', async () => {
    rmSync(join(world.dir, '_log/head.json'))
    expect((await world.repair()).done).toEqual([{ kind: 'write_head', version: 10 }])
    await isWhole()
  })

  it('only says what it would do, when it is only asked', async () => {
    const damaged = await fileOf('scores', 3)
    flipBit(join(world.dir, damaged.path))
    const before = readdirSync(world.dir, { recursive: true }).toSorted()
    const bytes = readFileSync(join(world.dir, damaged.path))
    const options = { dir: world.dir, copyDir: null, declareLost: false, log: world.log, topics: Object.values(topics) }
    const never = () => Promise.reject(new Error('nothing is written'))
    const { plan } = await explainRepair({
      ...options,
      writer: { write: never, merge: never, close: never },
      place: () => {
        throw new Error('nothing is read')
      },
      clock: { nowMs: () => 0 },
      rowsPerFile: 1,
      heldOffsets: never,
    })
    expect(plan).toMatchObject({ steps: [{ kind: 'read_file_again', file: { path: damaged.path } }], left: [] })
    expect(readdirSync(world.dir, { recursive: true }).toSorted()).toEqual(before)
    expect(readFileSync(join(world.dir, damaged.path))).toEqual(bytes)
  })

  it('what nobody has is left, until it is declared lost: then readers, check and covered agree', async () => {
    const damaged = await fileOf('scores', 3)
    flipBit(join(world.dir, damaged.path))
    const untouched = await world.repair({ log: null })
    expect(untouched).toMatchObject({ done: [], left: [{ what: expect.stringContaining(damaged.path) as string }] })
    expect(existsSync(join(world.dir, damaged.path))).toBe(true)
    const declared = await world.repair({ log: null, declareLost: true })
    const position = { table: 'scores', topic: topics.scores, partition: 0, firstOffset: 3, lastOffset: 5, rows: 3 }
    expect(declared.check).toMatchObject({ ok: true, damaged: [], lost: [position] })
    const lake = await world.open()
    expect(await offsets(lake, topics.scores)).toEqual([...range(0, 3), ...range(6, total)])
    const { lost, covered } = await lake.snapshot()
    expect([lost, covered.get(`${topics.scores}/0`)]).toEqual([[position], total])
    const told = await ask(lake, 'SELECT table_name, first_offset, last_offset, rows FROM lost_positions')
    expect(told).toEqual([{ table_name: 'scores', first_offset: 3, last_offset: 5, rows: 3 }])
    // The log has them after all.
    expect((await world.repair()).done.map(({ kind }) => kind)).toEqual(['read_range_again'])
    await isWhole()
  })

  it('I5: of two repairs that read the same positions again, one commits them', async () => {
    flipBit(join(world.dir, (await fileOf('events', 3)).path))
    await world.repair({ log: null, declareLost: true })
    const { log } = world
    let other: Promise<unknown> | null = null
    const result = await world.repair({
      log: {
        describeTopic: (topic) => log.describeTopic(topic),
        async tail(options, onBatch) {
          await (other ??= world.repair())
          return log.tail(options, onBatch)
        },
      },
    })
    expect(other).not.toBeNull()
    expect(result.left).toEqual([])
    await isWhole()
    expect(result.check.unnamed).toEqual([])
  })

  it('a log that was made anew does not pass for the one that the file was made of', async () => {
    flipBit(join(world.dir, (await fileOf('events', 3)).path))
    const other = await LogLake.start()
    try {
      await other.publish(total + 1)
      const result = await world.repair({ log: other.log })
      expect(result).toMatchObject({ done: [], left: [{ why: expect.stringContaining('are others') as string }] })
      expect(readdirSync(join(world.dir, '_staging'))).toEqual([])
    } finally {
      await other.stop()
    }
  })

  it('I5: what a log has in place of lost positions is compared with what is known of them', async () => {
    const lostFile = await fileOf('scores', 0)
    flipBit(join(world.dir, lostFile.path))
    await world.repair({ log: null, declareLost: true })
    const before = await ask(await world.open(), rows)
    const [longer, shorter] = [await LogLake.start(), await LogLake.start()]
    try {
      const unreadable = Object.values(topics).map((topic) => ({ topic, key: 'c1', value: '{' }))
      for (let i = 0; i <= total; i += 1) await longer.log.publish(unreadable)
      const others = await world.repair({ log: longer.log })
      expect(others).toMatchObject({ done: [], left: [{ why: 'the log has 0 rows there, the lake had 3' }] })
      await shorter.publish(total - 1)
      const told: string[] = []
      expect((await world.repair({ log: shorter.log, onProgress: (line) => told.push(line) })).done).toEqual([])
      expect(told).toEqual([expect.stringContaining('ends at 11, below 12')])
    } finally {
      await longer.stop()
      await shorter.stop()
    }
    expect(await ask(await world.open(), rows)).toEqual(before)
    expect((await check()).unnamed).toEqual([])
  })

  it('I5: what a later merge holds is not lost with the commit that named it first', async () => {
    const version = versionOf(await fileOf('scores', 3))
    const writer = await openTableWriter(writerOptions)
    const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 60_000 }
    await compact({ ...limits, lake: await world.open(), writer, nowMs: Date.now() })
    await writer.close()
    rmSync(commitPath(version))
    await world.log.truncate(topics.scores, 0, total)
    const result = await world.repair()
    expect(result).toMatchObject({ done: [{ kind: 'begin_anew', holes: [] }], left: [] })
    await isWhole()
  })

  it('I5: a hole begins where the lake began, not at 0', async () => {
    const late = await LogLake.start()
    try {
      await late.publish(total)
      await late.log.truncate(topics.scores, 0, 6)
      await late.materialize(3)
      const names = readdirSync(join(late.dir, '_log')).filter((name) => /^\d{20}\.json$/.test(name))
      const first = names.find((name) => readFileSync(join(late.dir, '_log', name), 'utf8').includes('-6-8.'))
      const scores = names.findLast((name) => readFileSync(join(late.dir, '_log', name), 'utf8').includes('-6-8.'))
      expect(scores).not.toBe(first)
      rmSync(join(late.dir, '_log', scores ?? ''))
      const result = await late.repair()
      const range = { topic: topics.scores, firstOffset: 6, lastOffset: 8 }
      expect(result).toMatchObject({ done: [{ holes: [range] }, { kind: 'read_range_again', range }], left: [] })
      expect(result.check).toMatchObject({ ok: true, lost: [] })
    } finally {
      await late.stop()
    }
  })

  it('interrupted after any step, it goes on from there', async () => {
    for (const offset of [0, 3, 6]) flipBit(join(world.dir, (await fileOf('events', offset)).path))
    rmSync(commitPath(versionOf(await fileOf('scores', 3))))
    let runs = 0
    for (let left = 1; left > 0 && runs < 20; runs += 1) {
      const stopping = new AbortController()
      const result = await world.repair({ signal: stopping.signal, onProgress: () => stopping.abort() })
      left = result.done.length
      expect(result.done.length).toBeLessThanOrEqual(1)
    }
    expect(runs).toBe(6)
    await isWhole()
  })
})
