import { describe, expect, it } from 'vitest'
import {
  needsLog,
  statusOf,
  type LakeSeen,
  type LogSeen,
  type StatesSeen,
  type Viewer,
} from '../../src/engine/states-status.ts'

const viewer: Viewer = { featureSet: 'set-2', namespace: 'rb', remembered: new Map(), hasOwned: false }
const states = (change: Partial<StatesSeen> = {}): StatesSeen => ({
  isRebuilding: false,
  featureSet: 'set-2',
  positions: new Map([[0, 10]]),
  lake: 'lake-a',
  ...change,
})
const log = (change: Partial<LogSeen> = {}): LogSeen => ({
  committed: new Map([[0, 10]]),
  ends: new Map([[0, 12]]),
  ...change,
})
const lake = (change: Partial<LakeSeen> = {}): LakeSeen => ({
  id: 'lake-a',
  dir: '/data/lake',
  events: new Map([[0, 11]]),
  hasAnswers: true,
  ...change,
})
const emptied = states({ positions: new Map(), featureSet: null, lake: null })
const nothing: LogSeen = { committed: new Map(), ends: new Map([[0, 0]]) }

describe('the status of the states', () => {
  it('is whole where every committed partition has a position, and empty where nothing ever was', () => {
    expect(statusOf(states(), null, lake(), viewer)).toEqual({ kind: 'whole' })
    expect(statusOf(emptied, nothing, null, viewer)).toEqual({ kind: 'empty' })
    expect(statusOf(emptied, nothing, lake({ hasAnswers: false, events: new Map() }), viewer)).toEqual({
      kind: 'empty',
    })
  })

  it.each<[string, LogSeen, LakeSeen | null, Partial<Viewer>]>([
    ['the group has committed', log(), null, {}],
    ['the lake has answers', log({ committed: new Map() }), lake(), {}],
    ['this process has seen positions', log({ committed: new Map() }), null, { remembered: new Map([[0, 10]]) }],
  ])('is state_lost where positions are gone and %s', (_what, seenLog, seenLake, change) => {
    const statesStatus = statusOf(emptied, seenLog, seenLake, { ...viewer, ...change })
    expect(statesStatus).toMatchObject({ kind: 'refused', code: 'state_lost' })
    expect(statesStatus).toMatchObject({ reason: expect.stringContaining('riverbank rebuild') as string })
  })

  it('is state_lost where the position of one partition alone is gone', () => {
    const seen = log({
      committed: new Map([
        [0, 10],
        [1, 5],
      ]),
    })
    const statesStatus = statusOf(states(), seen, lake(), viewer)
    expect(statesStatus).toMatchObject({
      code: 'state_lost',
      reason: expect.stringContaining('partitions 1 ') as string,
    })
  })

  it.each<[string, LogSeen, LakeSeen | null, Partial<Viewer>]>([
    ['the topic is gone', { committed: new Map(), ends: null }, lake(), {}],
    ['the lake holds more than the log', nothing, lake(), {}],
    ['this process has seen more than the log holds', nothing, null, { remembered: new Map([[0, 10]]) }],
  ])('is log_recreated where the states are gone and %s', (_what, seenLog, seenLake, change) => {
    expect(statusOf(emptied, seenLog, seenLake, { ...viewer, ...change })).toMatchObject({ code: 'log_recreated' })
  })

  it('is state_rebuilding as long as a rebuild has not finished, whatever it has written', () => {
    expect(statusOf(states({ isRebuilding: true }), null, lake(), viewer)).toMatchObject({ code: 'state_rebuilding' })
  })

  it('is states_undrained where a former feature set applied what it did not commit', () => {
    const before = states({ featureSet: 'set-1' })
    const undrained = log({ committed: new Map([[0, 9]]) })
    expect(statusOf(before, undrained, lake(), viewer)).toMatchObject({ code: 'states_undrained' })
    expect(statusOf(before, log(), lake(), viewer)).toEqual({ kind: 'whole' })
    // The one that was taken over does not judge its successor.
    expect(statusOf(before, undrained, lake(), { ...viewer, hasOwned: true })).toEqual({ kind: 'whole' })
  })

  it('is lake_mismatch where the states belong to another lake, and says which is which', () => {
    const statesStatus = statusOf(states({ lake: 'lake-b' }), null, lake(), viewer)
    expect(statesStatus).toMatchObject({ code: 'lake_mismatch' })
    for (const word of ['lake-a', 'lake-b', '/data/lake', 'RIVERBANK_NAMESPACE', 'riverbank lake adopt']) {
      expect(statesStatus).toMatchObject({ reason: expect.stringContaining(word) as string })
    }
    expect(statusOf(states({ lake: 'lake-b' }), null, null, viewer), 'no lake on this machine').toEqual({
      kind: 'whole',
    })
  })

  it('needs the log only where the store leaves something open', () => {
    expect(needsLog(states(), viewer, 1)).toBe(false)
    expect(needsLog(states(), viewer, 2)).toBe(true)
    expect(needsLog(states({ featureSet: 'set-1' }), viewer, 1)).toBe(true)
  })
})
