import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loginFeatures, logins } from '../../examples/logins/index.ts'
import { compiledText } from '../../src/app/installation/settings/compiled-feature-set.ts'
import { compileManifest } from '../../src/compile/manifest.ts'
import { compilePlan } from '../../src/compile/plan.ts'
import { referenceFeatures, type ReferenceObservation } from '../../src/compile/reference/reference.ts'
import type { HistoryPlace, PlacedHistory, SimulatedEvent } from '../../src/define/simulator.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import { entityIdOf } from '../../src/engine/plan.ts'
import { encodeEvent } from '../../src/events/event.ts'
import { decodeEvent } from '../../src/events/decode-event.ts'
import { testSeed } from '../support/seed.ts'

const simulator = logins.simulate?.({})
if (simulator === undefined) throw new Error('the example has a simulator')
const dayMs = 86_400_000
const { epochMs, labelDelayMs } = simulator
const choice = { accounts: 60, days: 40, worldSeed: testSeed }
const place = { originMs: epochMs, idPrefix: '', labelDelayMs, labelsBeforeMs: Infinity }

function placed(
  range: { fromDay: number; toDay?: number; limit?: number },
  asked = choice,
  where: HistoryPlace = place,
): PlacedHistory {
  return simulator!.draw({ choice: asked, ...range }).placed(where)
}
const eventsOf = (history: PlacedHistory) => [...(history.events as Iterable<SimulatedEvent>)]
const isLogin = ({ eventType }: SimulatedEvent) => eventType === 'login.attempted'
const isReset = ({ eventType }: SimulatedEvent) => eventType === 'password.reset_requested'
const isScored = (event: SimulatedEvent) => isLogin(event) || isReset(event)
const whole = eventsOf(placed({ fromDay: 0 }))

describe(`the history of simulated logins, seed ${testSeed}`, () => {
  test('is the same for the same choice, and another for another seed', () => {
    expect(eventsOf(placed({ fromDay: 0 }))).toEqual(whole)
    expect(eventsOf(placed({ fromDay: 0 }, { ...choice, worldSeed: testSeed + 1 }))).not.toEqual(whole)
  })

  test('has every range as a piece of the whole, ids included', () => {
    const range = { ...place, labelDelayMs: null }
    const some = eventsOf(placed({ fromDay: 3, toDay: 5 }, choice, range))
    const first = epochMs + 3 * dayMs
    const inside = ({ timestamp }: SimulatedEvent) => timestamp >= first && timestamp < first + 2 * dayMs
    expect(some).toEqual(whole.filter((event) => isScored(event) && inside(event)))
    expect(some.length).toBeGreaterThan(20)
    const drawn = simulator.draw({ choice, fromDay: 0, toDay: 5 }).fromDay(3)
    expect(eventsOf(drawn.placed(range))).toEqual(some)
  })

  test('comes in time order with unique ids, each label after its login or reset and never twice', () => {
    const times = whole.map(({ timestamp }) => timestamp)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(new Set(whole.map(({ eventId }) => eventId)).size).toBe(whole.length)
    const seen = new Set<string>()
    for (const event of whole) {
      if (!isScored(event)) expect(seen).toContain(event.causationId)
      seen.add(event.eventId)
    }
  })

  test('holds takeovers, most logins being honest, and failed attempts of both kinds', () => {
    const labels = whole.filter(({ eventType }) => eventType === 'takeover.reported')
    const takenOver = new Set(labels.map(({ causationId }) => causationId))
    const all = whole.filter(isLogin)
    expect(takenOver.size).toBeGreaterThan(all.length / 500)
    expect(takenOver.size).toBeLessThan(all.length / 10)
    const failed = all.filter(({ data }) => !(data as { succeeded: boolean }).succeeded)
    expect(failed.some(({ eventId }) => takenOver.has(eventId))).toBe(true)
    expect(failed.some(({ eventId }) => !takenOver.has(eventId))).toBe(true)
  })

  test('holds resets of owners who forgot, most of them, and of attackers, whose labels name a reset', () => {
    const all = whole.filter(isReset)
    const ids = new Set(all.map(({ eventId }) => eventId))
    const disputed = whole.filter(({ eventType }) => eventType === 'reset.disputed')
    expect(disputed.every(({ causationId = '' }) => ids.has(causationId))).toBe(true)
    expect(disputed.length).toBeGreaterThan(10)
    expect(all.length).toBeGreaterThan(2 * disputed.length)
  })

  test('leaves out labels that are not known yet and says which are pending', () => {
    const until = epochMs + 20 * dayMs
    const history = placed({ fromDay: 0 }, choice, { ...place, labelsBeforeMs: until })
    const told = eventsOf(history).filter((event) => !isScored(event))
    expect(told).toHaveLength(history.labels)
    expect([...told, ...history.pending]).toEqual(whole.filter((event) => !isScored(event)))
    expect(told.every(({ timestamp }) => timestamp < until)).toBe(true)
  })

  test('is limited by what is scored and ends just after the last of that', () => {
    const limited = simulator.draw({ choice, fromDay: 0, limit: 100 })
    const last = eventsOf(limited.placed({ ...place, labelDelayMs: null })).at(-1)
    expect(limited.scored).toBe(100)
    expect(last?.timestamp).toBe(epochMs + limited.endMs - 1_000)
  })

  test('is read from the wire as it was written', () => {
    const catalog = new Map(loginFeatures.events.map((event) => [event.type, event]))
    for (const event of whole.slice(0, 500)) {
      const read = decodeEvent(new TextEncoder().encode(encodeEvent(event)), catalog, event.timestamp)
      expect(read).toMatchObject({ kind: 'valid', event: { eventId: event.eventId, data: event.data } })
    }
  })
})

describe('live logins and resets', () => {
  const live = (seed: number) => {
    let nowMs = epochMs + 40 * dayMs
    const events = simulator.live({
      ...{ choice, seed, idPrefix: 'live-', originMs: epochMs, labelDelayMs: 60_000, limit: 2_000 },
      nowMs: () => (nowMs += 100),
      pending: [],
    })
    return [...(events as Iterable<SimulatedEvent>)]
  }

  test('are the same for the same seed and clock, as many as asked for, each label after the delay', () => {
    const events = live(testSeed)
    expect(live(testSeed)).toEqual(events)
    expect(events.filter(isScored)).toHaveLength(2_000)
    expect(events.filter(isReset).length).toBeGreaterThan(20)
    const at = new Map(events.map(({ eventId, timestamp }) => [eventId, timestamp]))
    const labels = events.filter((event) => !isScored(event))
    for (const { causationId = '', timestamp } of labels) expect(timestamp - (at.get(causationId) ?? NaN)).toBe(60_000)
  })
})

describe('the features of logins and resets', () => {
  test('are committed as the definitions say', () => {
    const committed = readFileSync(new URL('../../examples/logins/compiled/feature-set.json', import.meta.url), 'utf8')
    expect(committed).toBe(compiledText(compileManifest(loginFeatures)))
  })

  test(`are for the engine what the reference says, for each entity of each login and reset, seed ${testSeed}`, () => {
    const plan = compilePlan(loginFeatures)
    const engine = createMemoryEngine(plan)
    const seen = plan.entities.map(() => new Map<string, ReferenceObservation[]>())
    let compared = 0
    let withoutDevice = 0
    for (const [offset, event] of whole.slice(0, 2_500).entries()) {
      const data = event.data as Readonly<Record<string, string | number>>
      const timeMs = isScored(event) ? event.timestamp : Number(data['loginTimeMs'] ?? data['resetTimeMs'])
      const position = { partition: 0, offset, appendTimeMs: event.timestamp }
      const answers = engine.apply({ ...event, data }, timeMs, position, isScored(event))
      for (const [index, entity] of plan.entities.entries()) {
        const answer = answers[index]
        if (answer === null || answer === undefined) {
          expect(entity.keyFields, event.eventId).toContain('deviceId')
          expect(data).not.toHaveProperty('deviceId')
          withoutDevice += 1
          continue
        }
        const id = entityIdOf(entity.keyFields, data)
        const history = seen[index]?.get(id) ?? []
        const { sequence, incarnation } = answer
        if (isScored(event)) {
          const expected = referenceFeatures(loginFeatures, entity.name, history, { sequence, incarnation, timeMs })
          const found = Object.fromEntries(entity.features.map(({ name }, i) => [name, answer.features?.[i]]))
          expect(found, `${event.eventId} at ${entity.name} ${id}`).toEqual(expected)
          compared += Object.keys(expected).length
        }
        const { eventType, timestamp: eventTimeMs } = event
        seen[index]?.set(id, [...history, { sequence, timeMs, eventTimeMs, eventType, data }])
      }
    }
    expect(compared).toBeGreaterThan(50_000)
    expect(withoutDevice).toBeGreaterThan(20)
  })
})
