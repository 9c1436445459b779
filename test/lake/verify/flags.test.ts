import type { FlagKind } from '../../../src/engine/flags.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLake, type Lake } from '../../../src/lake/commit/lake.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { day, tempFolder } from '../support/feed.ts'
import { edit, pay, positionsOf, read, run, verify, write, type LogContent } from './support/world.ts'

let folder: ReturnType<typeof tempFolder>
let lake: Lake
beforeEach(async () => {
  folder = tempFolder()
  lake = await openLake({ dir: folder.dir })
})
afterEach(() => folder.remove())

const counted = 'customer_spend__payment_count_30d'
const reach = 'customer_reach__terminal_distinct_7d'

/** Says of one score that a feature is another value than it should be, and which flags it had. */
function assignment(
  content: LogContent,
  id: string,
  values: Record<string, number>,
  flags: Record<string, FlagKind> | null,
) {
  const index = content.scores.findIndex((record) => read(record).id === id)
  edit(content.scores, index, ({ data }) => {
    Object.assign(data.features, values)
    if (flags !== null) Object.assign(data, { flags })
  })
}

async function found(content: LogContent) {
  await write(lake, content)
  const report = await verify(lake, { positions: positionsOf(content) })
  return { report, ...report.invariants.I3 }
}

const few = () => run(Array.from({ length: 4 }, (_, n) => pay(`p${n}`, day + n * 1_000, day + n * 1_000)))

describe('I3 and a value that its score calls', () => {
  test('incomplete: nobody can recompute it, so it is counted and not judged; all others are', async () => {
    const content = await few()
    // No derived feature reads this one, and no vector.
    assignment(content, 'c1/p3:scored', { [reach]: 7 }, { [reach]: 'incomplete' })
    const { report, counts, byFeature } = await found(content)
    expect(report, renderVerify(report)).toMatchObject({ ok: true, mismatches: 0 })
    expect(counts['incomplete values']).toBe(1)
    expect(byFeature).toEqual({})
  })

  test('incomplete excuses that feature and no other, that score and no other', async () => {
    const content = await few()
    assignment(content, 'c1/p3:scored', { [counted]: 9, [reach]: 7 }, { [reach]: 'incomplete' })
    assignment(content, 'c1/p2:scored', { [reach]: 7 }, null)
    const { byFeature, counts } = await found(content)
    expect(byFeature).toMatchObject({ [counted]: 1, [reach]: 1 })
    expect(counts['incomplete values']).toBe(1)
  })

  test.each(['truncated', 'saturated'] as const)(
    '%s: the definition says what it is, so it is recomputed',
    async (flag) => {
      const content = await few()
      assignment(content, 'c1/p3:scored', { [reach]: 7 }, { [reach]: flag })
      const { byFeature, counts } = await found(content)
      expect(byFeature).toEqual({ [reach]: 1 })
      expect(counts['incomplete values'] ?? 0).toBe(0)
    },
  )
})
