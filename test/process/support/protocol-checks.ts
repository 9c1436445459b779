import fc from 'fast-check'
import { expect } from 'vitest'
import { checkInvariants } from './invariants.ts'
import { happenings, setups } from './protocol-commands.ts'
import type { Plant } from './protocol-member.ts'
import type { Vault } from './protocol-states.ts'
import { nothingSeen, Protocol, type Seen } from './protocol.ts'

/** What many stories came to, and what they may differ in where a store loses acknowledged writes. */
export interface Told extends Seen {
  stories: number
  copies: number
  differing: number
}

export const nothingTold = (): Told => ({ ...nothingSeen(), stories: 0, copies: 0, differing: 0 })

/** Without losses everything; with them what is promised whatever is lost: I1, I4, and an answer for every record. */
export async function checkStory(protocol: Protocol, told: Told): Promise<void> {
  if (protocol.failures.length > 0) throw protocol.failures[0]
  protocol.ledger.checkAppliedOnce(protocol.memory.read(protocol.topics.events))
  const { copies, differing } = checkAnswers(protocol)
  if (protocol.seen.losses === 0) await checkInvariants(protocol)
  for (const name of Object.keys(protocol.seen) as (keyof Seen)[]) told[name] += protocol.seen[name]
  told.stories += 1
  told.copies += copies
  told.differing += differing
}

/** I2 without its bytes: every record is answered, by one event of a topic, however often. */
function checkAnswers({ memory, topics }: Protocol): { copies: number; differing: number } {
  const answers = new Map<string, Set<string>>()
  const answered = new Set<string>()
  let copies = 0
  let differing = 0
  for (const record of [...memory.read(topics.scores), ...memory.read(topics.deadLetters)]) {
    const text = new TextDecoder().decode(record.value)
    const { data } = JSON.parse(text) as { data: { position?: { partition: number; offset: number } } }
    // A letter was replayed: that answers no record.
    if (data.position === undefined) continue
    const at = `${data.position.partition}:${data.position.offset}`
    answered.add(at)
    const known = answers.get(`${record.topic} ${at}`)
    if (known === undefined) answers.set(`${record.topic} ${at}`, new Set([text]))
    else {
      copies += 1
      if (!known.has(text)) differing += 1
      known.add(text)
    }
  }
  const events = memory.read(topics.events).map(({ partition, offset }) => `${partition}:${offset}`)
  expect([...answered].sort(), 'every record is answered').toEqual(events.sort())
  return { copies, differing }
}

export interface Telling {
  readonly vault: () => Vault | Promise<Vault>
  readonly withRewinds: boolean
  readonly plant: Plant
  readonly told: Told
}

/** Any setup, any happenings, and at the end what must hold. */
export function story({ vault, withRewinds, plant, told }: Telling) {
  return fc.asyncProperty(setups, happenings(withRewinds), async (setup, commands) => {
    const protocol = new Protocol(setup, await vault(), plant)
    await fc.asyncModelRun(() => ({ model: {}, real: protocol }), commands)
    await protocol.finish()
    await checkStory(protocol, told)
  })
}
