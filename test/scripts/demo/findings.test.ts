import { describe, expect, test } from 'vitest'
import { copiesIn, findings, type RunOutcome } from '../../../scripts/demo/findings.ts'

const fed = { scored: 60_000, sent: 60_400 }
const well: RunOutcome = {
  scores: 60_000,
  lakeRows: { events: 60_400, scores: 60_000 },
  lakeEvents: { ids: 60_400, contents: 60_400 },
  deadLetters: new Map(),
  mismatches: 0,
  verified: true,
}
/** A batch was in the log, its acknowledgement came too late, and the feed sent it again. */
const sentAgain: RunOutcome = {
  ...well,
  lakeRows: { events: 60_900, scores: 60_000 },
  deadLetters: new Map([['duplicate_event', 500]]),
}

describe('a run with an end', () => {
  test('is well when everything is there once', () => {
    expect(findings(fed, well)).toEqual([])
    expect(copiesIn(well)).toBe(0)
  })

  test('is well when its feed sent a batch again: each copy is refused and kept', () => {
    expect(findings(fed, sentAgain)).toEqual([])
    expect(copiesIn(sentAgain)).toBe(500)
  })

  test.each<[string, RunOutcome]>([
    ['a payment without a score', { ...sentAgain, scores: 59_999 }],
    ['a score that is there twice', { ...sentAgain, lakeRows: { events: 60_900, scores: 60_001 } }],
    ['an event that is missing', { ...sentAgain, lakeEvents: { ids: 60_399, contents: 60_399 } }],
    ['an event of somebody else', { ...sentAgain, lakeEvents: { ids: 60_401, contents: 60_401 } }],
    ['two contents under one id', { ...sentAgain, lakeEvents: { ids: 60_400, contents: 60_401 } }],
    ['an event that could not be processed', { ...sentAgain, deadLetters: new Map([['invalid_data', 1]]) }],
    ['a refusal where nothing was sent again', { ...well, deadLetters: new Map([['duplicate_event', 1]]) }],
    ['a value that differs', { ...sentAgain, mismatches: 1 }],
    ['a promise that verify does not find kept', { ...sentAgain, verified: false }],
  ])('is not well with %s', (_what, outcome) => {
    expect(findings(fed, outcome).length).toBeGreaterThan(0)
  })
})
