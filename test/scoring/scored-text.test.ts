import { flagKinds } from '../../src/engine/flags.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/define/event-type.ts'
import { decisions } from '../../src/scoring/output-events.ts'
import { scoreFormOf } from '../../src/scoring/score-form.ts'
import { encodeEvent, type DomainEvent } from '../../src/events/event.ts'
import { unexplained } from '../../src/scoring/explain/explainer.ts'
import {
  createScoreWriter,
  scoreHead,
  type ScoreParts,
  type ScoreWriterOptions,
} from '../../src/scoring/scored-text.ts'
import type { Reason } from '../../src/scoring/explain/reason.ts'

const features = ['spend__count_7d', 'spend__mean_7d', 'odd "name"']
const entities = ['customer', 'pair']
const current = z.object({
  accountId: z.string(),
  succeeded: z.boolean(),
  tries: z.number().int(),
  risk: z.number().nullable(),
  note: z.string().optional(),
  kind: z.enum(['a', 'b']),
})
const login = defineEvent({
  type: 'login.attempted',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'time',
  scored: {
    emits: 'login.scored',
    id: 'loginId',
    time: 'loginTimeMs',
    repeats: ['accountId', 'succeeded', 'tries', 'risk', 'note', 'kind'],
  },
  versions: { 1: { schema: current } },
  current,
})
const scoreForm = scoreFormOf(login)!
const form: ScoreWriterOptions = {
  rule: scoreForm,
  source: 'urn:riverbank:processor',
  model: { name: 'fraud', version: '2' },
  service: 'fraud_v2',
  featureSet: 'abc',
  shadows: [],
  features,
  entities,
}
/** Without shadows, with one, with several: what a writer has is fixed, so each has its own. */
const forms = [[], ['fraud/3'], ['fraud/3', 'other/2026-01.b']].map((shadows) => ({ ...form, shadows }))
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const writerOf = (options: ScoreWriterOptions) => {
  const writeBytes = createScoreWriter(options)
  return (scored: ScoreParts) => textOf(writeBytes(scored))
}
const writers = forms.map((one) => ({ form: one, write: writerOf(one) }))
const withForm = fc.constantFrom(...writers)
const write = writerOf(form)

const id = fc.oneof(fc.stringMatching(/^[\w.:@-]{1,20}$/), fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }))
const value = fc.oneof(
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(-0),
)
const position = fc.record({
  id,
  sequence: fc.maxSafeNat(),
  incarnation: fc.maxSafeNat(),
  outcome: fc.constantFrom('applied' as const, 'too_late' as const),
})
const number = fc.double({ noNaN: true, noDefaultInfinity: true })
const reason: fc.Arbitrary<Reason> = fc
  .record({ code: id, text: fc.string({ unit: 'binary' }), feature: id, value: number, contribution: number })
  .chain((known) =>
    fc.option(number, { nil: undefined }).map((usual) => ({ ...known, ...(usual === undefined ? {} : { usual }) })),
  )
const parts: fc.Arbitrary<ScoreParts> = fc.record({
  eventId: id,
  data: fc.record(
    {
      accountId: id,
      succeeded: fc.boolean(),
      tries: fc.maxSafeInteger(),
      risk: fc.option(number, { nil: null }),
      note: fc.string({ unit: 'binary' }),
      kind: fc.constantFrom('a', 'b'),
      unasked: id,
    },
    { requiredKeys: ['accountId', 'succeeded', 'tries', 'risk', 'kind', 'unasked'] },
  ),
  observedAtMs: fc.maxSafeNat(),
  aggregateId: id,
  correlationId: id,
  timeMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
  score: fc.double({ min: 0, max: 1, noNaN: true }),
  decision: fc.constantFrom(...decisions),
  values: fc.tuple(value, value, value),
  flags: fc.option(
    fc.constantFrom(...flagKinds).map((flag) => ({ [features[0] ?? '']: flag })),
    { nil: null },
  ),
  shadows: fc.tuple(value, value),
  policy: fc.option(fc.record({ version: id, decidedBy: id }), { nil: null }),
  reasons: fc.oneof(fc.constant(null), fc.constantFrom(...unexplained), fc.array(reason, { maxLength: 4 })),
  entities: fc.tuple(position, fc.option(position, { nil: null })),
  position: fc.record({ topic: id, partition: fc.nat(), offset: fc.maxSafeNat() }),
})

/** The same event as an object, and written the general way. */
function encoded(scored: ScoreParts, { shadows }: ScoreWriterOptions): string {
  const { eventId, data } = scored
  const named = (names: readonly string[], values: readonly unknown[]) =>
    Object.fromEntries<unknown>(
      names.map((name, i) => [name, values[i]] as const).filter(([, one]) => one !== undefined),
    )
  const event: DomainEvent = {
    eventId: `${scored.aggregateId}/${eventId}:scored`,
    eventType: 'login.scored',
    timestamp: scored.timeMs,
    aggregateId: scored.aggregateId,
    aggregateType: 'account',
    version: 1,
    correlationId: scored.correlationId,
    causationId: eventId,
    data: {
      loginId: eventId,
      ...named(
        form.rule.repeats,
        form.rule.repeats.map((field) => data[field]),
      ),
      loginTimeMs: scored.observedAtMs,
      ...{ score: scored.score, decision: scored.decision, model: form.model, service: form.service },
      featureSet: form.featureSet,
      features: named(features, scored.values),
      ...(scored.flags === null ? {} : { flags: scored.flags }),
      ...(shadows.length === 0 ? {} : { shadows: named(shadows, scored.shadows) }),
      ...(scored.policy === null ? {} : { policy: scored.policy }),
      ...(typeof scored.reasons === 'string' ? { reasonsUnavailable: scored.reasons } : {}),
      ...(typeof scored.reasons === 'string' || scored.reasons === null ? {} : { reasons: scored.reasons }),
      entities: named(
        entities,
        scored.entities.map((one) => one ?? undefined),
      ),
      position: scored.position,
    },
    metadata: { source: form.source },
  }
  return encodeEvent(event)
}

describe('a score, written without an object', () => {
  it('I2: is byte for byte what the general encoder writes, whatever is in it', () => {
    fc.assert(
      fc.property(parts, withForm, (scored, writer) => {
        expect(writer.write(scored)).toBe(encoded(scored, writer.form))
      }),
      { numRuns: 500 },
    )
  })

  it('is whole after one that could not be written', () => {
    fc.assert(
      fc.property(parts, withForm, (scored, writer) => {
        expect(() => writer.write({ ...scored, timeMs: NaN })).toThrow(RangeError)
        expect(writer.write(scored)).toBe(encoded(scored, writer.form))
      }),
    )
  })

  it('keeps its bytes, however many are written after it, and however long they are', () => {
    const writeBytes = createScoreWriter(form)
    const kept: { readonly bytes: Uint8Array; readonly scored: ScoreParts }[] = []
    for (const [i, scored] of fc.sample(parts, { numRuns: 1_000, seed: 1 }).entries()) {
      const note = i % 100 === 0 ? 'é'.repeat(400_000) : `${i}`
      const long = { ...scored, data: { ...scored.data, note } }
      kept.push({ bytes: writeBytes(long), scored: long })
    }
    for (const { bytes, scored } of kept) expect(textOf(bytes) === encoded(scored, form)).toBe(true)
  })

  it('has the shape that its schema promises', () => {
    fc.assert(
      fc.property(parts, withForm, (scored, writer) => {
        const { data } = JSON.parse(writer.write(scored)) as { data: { shadows?: object } }
        expect(scoreForm.schema.safeParse(data).error).toBeUndefined()
        expect(Object.keys(data.shadows ?? {})).toEqual(writer.form.shadows)
        expect('shadows' in data, 'left out when there are none').toBe(writer.form.shadows.length > 0)
      }),
    )
  })

  it('tells whose it is without being parsed, or nothing at all', () => {
    fc.assert(
      fc.property(parts, (scored) => {
        const { aggregateId, eventId } = scored
        const head = scoreHead(write(scored))
        if (head !== null)
          expect(head).toEqual({ id: `${aggregateId}/${eventId}:scored`, type: 'login.scored', aggregateId, eventId })
        const isPlain = [eventId, aggregateId, scored.correlationId].every((one) => /^[\w.:@-]*$/.test(one))
        if (isPlain) expect(head).not.toBeNull()
      }),
    )
    expect(scoreHead(JSON.stringify({ type: 'login.scored', subject: 'a', causationid: 'l' }))).toBeNull()
  })
})
