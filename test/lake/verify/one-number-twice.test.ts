import { expect, test } from 'vitest'
import { day } from '../support/feed.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import { lake } from '../support/fresh-lake.ts'
import {
  edit,
  pay,
  positionsOf,
  read,
  report,
  run,
  verify,
  write,
  type LogContent,
  type Sent,
} from './support/world.ts'

// A store that lost its tail gives numbers again: two events of one entity then have one number. What each of them
// changed is still known by its position and by what it labels.

const hour = 3_600_000
const dayMs = 24 * hour

/** As it is after a loss: the first event has, at this entity, the number that the second one had before. */
function giveNumberOf(content: LogContent, entity: string, causeId: string, formerId: string): void {
  const numberAt = (id: string) => content.scores.findIndex((record) => causeOf(record) === id)
  const former = read(content.scores[numberAt(formerId)] as LogRecord).data.entities[entity]
  edit(content.scores, numberAt(causeId), ({ data }) => {
    const position = data.entities[entity]
    if (position === undefined || former === undefined) throw new Error(`no ${entity} is named`)
    position.sequence = former.sequence
  })
}

function causeOf(record: LogRecord): string {
  const data = read(record).data as unknown as { paymentId?: string; observedId?: string }
  return data.paymentId ?? data.observedId ?? ''
}

async function check(sent: readonly Sent[], lose: (content: LogContent) => void) {
  const content = await run(sent)
  lose(content)
  await write(lake, content)
  const { I1, I3 } = (await verify(lake, { positions: positionsOf(content) })).invariants
  return { numbers: Object.keys(I1.byCode), mismatches: I3.byFeature, examples: I3.examples }
}

test('a label that counts nowhere takes no payment of the same number with it', async () => {
  const sent = [
    pay('p1', day, day),
    // Its payment never was.
    report('r1', 'p0', day, day + hour),
    pay('p2', day + 2 * hour, day + 2 * hour),
    pay('p3', day + 3 * hour, day + 3 * hour),
  ]
  const { numbers, mismatches } = await check(sent, (content) => giveNumberOf(content, 'customer', 'p2', 'r1'))
  expect(numbers).toEqual(expect.arrayContaining(['sequence_twice']))
  expect(mismatches).toEqual({})
})

/** One payment is labelled twice, and what comes a week later reads which of the labels stands. */
const relabelled = [
  pay('p1', day, day),
  pay('p2', day + hour, day + hour),
  report('r1', 'p1', day, day + 2 * hour),
  pay('p3', day + 3 * hour, day + 3 * hour),
  report('r2', 'p2', day + hour, day + 4 * hour),
  report('r3', 'p1', day, day + 5 * hour),
  pay('p4', day + 8 * dayMs, day + 8 * dayMs),
]

test('a label that another one replaced takes no payment of the same number with it', async () => {
  const { numbers, mismatches } = await check(relabelled, (content) => giveNumberOf(content, 'terminal', 'p3', 'r1'))
  expect(numbers).toEqual(expect.arrayContaining(['sequence_twice']))
  expect(mismatches).toEqual({})
})

test('of two labels with one number, each is replaced by the next one of its own payment', async () => {
  const lose = (content: LogContent) => {
    giveNumberOf(content, 'terminal', 'r2', 'r1')
  }
  const { numbers, mismatches } = await check(relabelled, lose)
  expect(numbers).toEqual(expect.arrayContaining(['sequence_twice']))
  expect(mismatches).toEqual({})
})

test('without a loss, what is read a week later is what the labels say', async () => {
  const content = await run(relabelled)
  const last = read(content.scores.at(-1) as LogRecord).data.features
  expect(last).toMatchObject({ terminal_risk__fraud_count_30d: 2, terminal_risk__payment_count_30d: 3 })
})
