import { rmSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { filesOf } from '../../../src/lake/commit/lake.ts'
import type { VerifyOptions } from '../../../src/lake/verify/verify.ts'
import { day } from '../support/feed.ts'
import { lake, renewLake } from '../support/fresh-lake.ts'
import { edit, pay, positionsOf, profile, read, report, run, verify, write } from './support/world.ts'
import type { LogContent } from './support/world.ts'

const hour = 3_600_000
const dayMs = 24 * hour
const c2 = { customer: 'c2' }

/** Two customers at one terminal, one label, one retry; small enough to know every number. */
async function small(): Promise<LogContent> {
  return run([
    pay('p0', day, day),
    pay('p1', day + hour, day + hour, c2),
    pay('p2', day + 2 * hour, day + 2 * hour),
    pay('p2', day + 2 * hour, day + 2 * hour + 1),
    report('f0', 'p0', day, day + 6 * dayMs),
    profile('x0', day + 6 * dayMs),
    pay('p3', day + 7 * dayMs, day + 7 * dayMs, c2),
    pay('p4', day + 7 * dayMs + 1_000, day + 7 * dayMs + 1_000),
  ])
}

/**
 * Runs verify over the content with the log's word that this is all, and answers what is wrong by invariant and code.
 */
async function found(content: LogContent, change: Partial<VerifyOptions> = {}) {
  await write(lake, content, 3)
  const result = await verify(lake, { positions: positionsOf(content), ...change })
  const codes = Object.entries(result.invariants).flatMap(([name, { byCode }]) =>
    Object.entries(byCode).map(([code, count]) => `${name} ${code} ${count}`),
  )
  expect(result.ok).toBe(codes.length === 0)
  return { result, codes }
}

const indexOf = (content: LogContent, id: string) => content.scores.findIndex((record) => read(record).id === id)

test('nothing is wrong with the untouched lake', async () => {
  const { codes, result } = await found(await small())
  expect(codes).toEqual([])
  expect(result.invariants.I2.counts).toEqual({ payments: 5, scores: 5, copies: 0 })
  expect(result.invariants.I1.counts).toMatchObject({ duplicates: 1, customers: 2, terminals: 1 })
})

function nextUp(value: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer)
  return Number(new Float64Array(new BigInt64Array([(bits[0] ?? 0n) + 1n]).buffer)[0])
}

describe('I3', () => {
  test('an aggregated feature that is off by one bit is a mismatch, and so is what was derived from it', async () => {
    const content = await small()
    const name = 'customer_spend__amount_mean_30d'
    edit(content.scores, indexOf(content, 'c1/p4:scored'), ({ data }) => {
      data.features[name] = nextUp(data.features[name] ?? NaN)
    })
    const { codes, result } = await found(content)
    expect(codes).toEqual(['I3 mismatch 2'])
    expect(result.mismatches).toBe(2)
    expect(result.invariants.I3.byFeature).toEqual({ [name]: 1, amount_to_mean_30d: 1 })
    const [example] = result.invariants.I3.examples
    expect(example?.fields).toMatchObject({
      entity: 'customer',
      id: 'c1',
      cause: 'p4',
      feature: name,
      logged: nextUp(1_234),
      recomputed: 1_234,
    })
    expect(String(example?.fields['definition'])).toContain('"window":"30d"')
  })

  test('a derived feature that is off by one bit is a mismatch; so are the score, decision and reasons that do not follow', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c1/p4:scored'), ({ data }) => {
      data.features['customer_mean_amount_7d'] = nextUp(data.features['customer_mean_amount_7d'] ?? NaN)
    })
    edit(content.scores, indexOf(content, 'c2/p3:scored'), ({ data }) => {
      data.score = nextUp(data.score)
      data.decision = 'block'
    })
    const { result } = await found(content)
    expect(result.invariants.I3.byFeature).toEqual({ customer_mean_amount_7d: 1, score: 1, decision: 1, reasons: 1 })
  })

  test('-0 is not 0', async () => {
    const content = await small()
    const index = indexOf(content, 'c2/p3:scored')
    const text = new TextDecoder().decode(content.scores[index]?.value)
    expect(text).toContain('"first_in_30d":0')
    // JSON.stringify would write -0 as 0.
    const value = new TextEncoder().encode(text.replace('"first_in_30d":0', '"first_in_30d":-0'))
    content.scores[index] = { ...content.scores[index], value } as LogContent['scores'][number]
    const { result } = await found(content)
    expect(result.invariants.I3.byFeature).toEqual({ first_in_30d: 1 })
    expect(result.invariants.I3.examples[0]?.fields).toMatchObject({ logged: '-0', recomputed: 0 })
  })

  test('-0 is not 0 in an aggregated feature either', async () => {
    const content = await run([pay('p0', day, day), pay('p1', day + 8 * dayMs, day + 8 * dayMs)])
    const name = 'terminal_risk__fraud_rate_30d'
    const text = new TextDecoder().decode(content.scores[1]?.value)
    expect(text).toContain(`"${name}":0`)
    const value = new TextEncoder().encode(text.replace(`"${name}":0`, `"${name}":-0`))
    content.scores[1] = { ...content.scores[1], value } as LogContent['scores'][number]
    const { result } = await found(content)
    expect(result.invariants.I3.byFeature[name]).toBe(1)
  })

  test('a label that counted at another time than its payment is a mismatch', async () => {
    const content = await small()
    edit(
      content.events,
      content.events.findIndex((r) => read(r).id === 'f0'),
      ({ data }) => {
        data.paymentTimeMs = day + 6 * dayMs
      },
    )
    const { result } = await found(content)
    expect(Object.keys(result.invariants.I3.byFeature)).toContain('terminal_risk__fraud_count_7d')
  })

  test('a label that counted after a payment that had seen it is a mismatch', async () => {
    const content = await small()
    const [label, payment] = [indexOf(content, 'c1/f0:observed'), indexOf(content, 'c2/p3:scored')]
    const numbers = [label, payment].map(
      (i) => read(content.scores[i] as never).data.entities['terminal']?.sequence ?? NaN,
    )
    const set = (index: number, sequence: number | undefined) =>
      edit(content.scores, index, ({ data }) => {
        const at = data.entities['terminal']
        if (at !== undefined) at.sequence = sequence ?? NaN
      })
    set(label, numbers[1])
    set(payment, numbers[0])
    const { result } = await found(content)
    expect(result.invariants.I3.byFeature['terminal_risk__fraud_count_7d']).toBe(1)
    expect(result.invariants.I1.violations).toBe(0)
  })

  test('an outcome that does not follow is a mismatch', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c1/p2:scored'), ({ data }) => {
      const at = data.entities['terminal']
      if (at !== undefined) at.outcome = 'too_late'
    })
    const { result } = await found(content)
    expect(result.invariants.I3.byFeature).toEqual({ outcome: 1 })
  })
})

describe('I2', () => {
  test('a payment without a score is missing', async () => {
    const content = await small()
    const lost = indexOf(content, 'c1/p2:scored')
    content.scores[lost] = { ...content.scores[lost], value: new TextEncoder().encode('{}') } as never
    const { codes, result } = await found(content)
    expect(codes).toContain('I2 score_missing 1')
    expect(result.invariants.I2.examples[0]?.fields).toMatchObject({ owner_id: 'c1', event_id: 'p2', log_offset: 1 })
  })

  test('above what is known to be scored a missing score is pending, below it is missing, also without a log', async () => {
    const content = await small()
    content.scores = content.scores.filter((record) => record.partition === 0 || read(record).id !== 'c1/p4:scored')
    const { codes, result } = await found(content, { positions: null })
    expect(codes).toEqual([])
    expect(result).toMatchObject({ watermark: 'seen', pending: { payments: 1, eventRecords: null } })
    const taken = content.events.find((record) => read(record).id === 'p4')
    const beginMs = (taken?.appendTimeMs ?? NaN) + 7_000
    let nowMs = beginMs - 60_000
    const slow = { nowMs: () => (nowMs += 60_000) }
    const looked = await verify(lake, { positions: null, clock: slow })
    expect(looked.oldestPendingMs, 'the age of the oldest, without the time that verify took').toBe(7_000)
    const known = await verify(lake, { positions: positionsOf(content) })
    expect(known.invariants.I2.byCode).toEqual({ score_missing: 1 })
    const behind = positionsOf(content)
    behind.committed.set(1, 5)
    expect(await verify(lake, { positions: behind })).toMatchObject({ ok: true, pending: { payments: 1 } })
  })

  test('equal copies are counted, a copy that differs in one bit is a violation', async () => {
    const content = await small()
    const original = content.scores[indexOf(content, 'c2/p3:scored')] as LogContent['scores'][number]
    const copy = { ...original, offset: 90, appendTimeMs: original.appendTimeMs + 5 }
    content.scores.push(copy)
    const sparse = { ...positionsOf(content), dense: false }
    const equal = await found(content, { positions: sparse })
    expect(equal.codes).toEqual([])
    expect(equal.result.invariants.I2.counts).toMatchObject({ scores: 5, copies: 1 })
    await renewLake()
    edit(content.scores, content.scores.length - 1, ({ data }) => {
      data.score = nextUp(data.score)
    })
    const { codes, result } = await found(content, { positions: sparse })
    expect(codes).toEqual(['I2 copies_differ 1'])
    expect(result.invariants.I2.examples[0]?.fields).toMatchObject({ event: 'c2/p3:scored', column: 'score' })
  })
})

describe('I1', () => {
  test('a sequence number that two events took is a violation', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c1/p2:scored'), ({ data }) => {
      const at = data.entities['terminal']
      if (at !== undefined) at.sequence -= 1
    })
    const { codes } = await found(content)
    expect(codes).toContain('I1 sequence_twice 1')
  })

  test('a number that nothing took is a violation once nothing is on its way, and pending before', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c1/p4:scored'), ({ data }) => {
      const at = data.entities['terminal']
      if (at !== undefined) at.sequence += 5
    })
    const { codes } = await found(content)
    expect(codes).toEqual(['I1 sequence_gap 1'])
    const open = await verify(lake)
    expect(open).toMatchObject({ ok: true, pending: { reads: 1 } })
  })

  test('a label that was never applied is a violation', async () => {
    const content = await small()
    const lost = indexOf(content, 'c1/f0:observed')
    content.scores[lost] = { ...content.scores[lost], value: new TextEncoder().encode('{}') } as never
    const { codes } = await found(content)
    expect(codes).toContain('I1 event_not_applied 1')
  })

  test('an event that was applied again in spite of its id is a violation', async () => {
    const content = await run([
      pay('p0', day, day),
      pay('p1', day + 1_000, day + 1_000),
      pay('p9', day + 2_000, day + 2_000),
    ])
    for (const records of [content.events, content.scores]) {
      const value = new TextEncoder().encode(new TextDecoder().decode(records[2]?.value).replaceAll('p9', 'p0'))
      records[2] = { ...records[2], value } as never
    }
    const { codes } = await found(content)
    expect(codes).toEqual(['I1 applied_twice 1'])
  })

  test('a score about another event than the one at its position is a violation', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c2/p3:scored'), ({ data }) => {
      data.paymentTimeMs += 1
    })
    const { codes } = await found(content)
    expect(codes).toContain('I1 wrong_cause 1')
  })

  test('a row that says of its cause what the event does not say is a violation', async () => {
    for (const change of [
      { correlationid: 'another' },
      { causationid: 'p2' },
      { source: 'urn:else' },
      { id: 'c2/p3:scored' },
    ]) {
      const content = await small()
      edit(content.scores, indexOf(content, 'c2/p3:scored'), (event) => void Object.assign(event, change))
      const { codes, result } = await found(content)
      expect(codes).toEqual(['I2 cause_differs 1'])
      expect(result.invariants.I2.examples[0]?.fields).toMatchObject({ table_name: 'scores' })
    }
  })

  test('a row that names an entity which its event does not is a violation', async () => {
    const content = await small()
    edit(content.scores, indexOf(content, 'c1/f0:observed'), ({ data }) => {
      data.entities['terminal'] = { ...data.entities['customer'], id: 't7' } as never
    })
    const { codes } = await found(content)
    expect(codes).toContain('I1 wrong_entity 1')
  })

  test('a score whose event is not in the lake, though the lake covers its position, is a violation', async () => {
    const content = await small()
    content.events = content.events.filter((record) => read(record).id !== 'p1')
    const { codes } = await found(content, { positions: null })
    expect(codes).toContain('I1 cause_not_in_lake 1')
  })
})

describe('I5', () => {
  const firstFile = async () => {
    const [file] = filesOf(await lake.snapshot(), 'scores')
    if (file === undefined) throw new Error('the lake has a file of scores')
    return file
  }

  test('a deleted file and a flipped bit leave the rest unchecked; a flipped bit is what the fast way cannot see', async () => {
    await write(lake, await small(), 3)
    const path = lake.pathOf(await firstFile())
    const bytes = readFileSync(path)
    const flipped = Uint8Array.from(bytes)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    writeFileSync(path, flipped)
    const broken = await verify(lake)
    expect(broken.invariants.I5.byCode).toEqual({})
    expect(broken.damaged.map(({ code }) => code)).toEqual(['file_wrong_checksum'])
    expect(broken).toMatchObject({
      ok: false,
      invariants: { I1: { unchecked: /damaged/ }, I2: { unchecked: /damaged/ } },
    })
    for (const fast of [true, false]) {
      rmSync(path, { force: true })
      expect((await verify(lake, { fast })).damaged).toMatchObject([{ code: 'file_missing' }])
      writeFileSync(path, bytes.subarray(0, 100))
      expect((await verify(lake, { fast })).damaged).toMatchObject([{ code: 'file_wrong_size' }])
    }
    writeFileSync(path, bytes)
    expect((await verify(lake)).ok).toBe(true)
  })

  test('a range that two files hold is a violation', async () => {
    await write(lake, await small(), 3)
    const file = await firstFile()
    const twin = { ...file, path: file.path.replace(/\.[0-9a-f]{8}\.parquet$/, '.00000000.parquet') }
    writeFileSync(lake.pathOf(twin), readFileSync(lake.pathOf(file)))
    expect(await lake.log.commit({ added: [twin] })).toMatchObject({ kind: 'committed' })
    const result = await verify(lake)
    expect(result.ok).toBe(false)
    expect(result.invariants.I5.byCode).toEqual({ ranges_overlap: 1, offset_twice: file.rows })
    expect(result.violations).toBe(1 + file.rows)
  })

  test('a file that is not what the manifest says, or lies beyond what is covered, is a violation', async () => {
    await write(lake, await small(), 3)
    const file = await firstFile()
    const moved = { ...file, path: file.path.replace(/\.[0-9a-f]{8}\.parquet$/, '.00000001.parquet') }
    const stated = { ...moved, firstOffset: 500, lastOffset: 500 + file.rows, rows: file.rows + 1 }
    writeFileSync(lake.pathOf(moved), readFileSync(lake.pathOf(file)))
    await lake.log.commit({ added: [stated], removed: [file.path] })
    const result = await verify(lake)
    expect(result.invariants.I5.byCode).toEqual({ file_beyond_covered: 1, file_differs: 1 })
  })

  test('an offset in no file is a violation where the log has no gaps', async () => {
    const content = await small()
    const positions = positionsOf(content)
    const lost = indexOf(content, 'c1/p2:scored')
    content.scores = content.scores.filter((_, i) => i !== lost)
    const { codes } = await found(content, { positions })
    expect(codes).toContain('I5 offset_missing 1')
    const sparse = await verify(lake, { positions: { ...positions, dense: false } })
    expect(sparse.invariants.I5.counts).toMatchObject({ 'offsets absent': 1 })
    expect(sparse.invariants.I5.violations).toBe(0)
  })
})
