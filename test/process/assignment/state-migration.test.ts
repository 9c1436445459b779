import { expect, it } from 'vitest'
import { beginDraft } from '../../../src/engine/state/state.ts'
import { encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { StateMigration } from '../../../src/process/assignment/state-migration.ts'
import { stateMetadata, type StateStore } from '../../../src/ports/states.ts'
import { evolved } from '../support/evolution.ts'
import { memoryVault } from '../support/protocol-states.ts'
import { clock, compiled, quiet } from '../support/wiring.ts'

const topic = 'events'

function versions() {
  const store: StateStore = { ...memoryVault().store, epoch: 1 }
  const committed = new Map<number, number>()
  const shared = { store, committed: () => Promise.resolve(committed), clock, logger: quiet }
  const before = new StateMigration({ ...shared, plan: compiled.plan })
  const after = new StateMigration({ ...shared, plan: evolved.plan })
  return { store, committed, before, after }
}

it('takes over what was drained, and nothing else', async () => {
  const { store, committed, before, after } = versions()
  await before.takeOver(topic)
  await store.advance(topic, 0, 7)
  committed.set(0, 6)
  await expect(after.takeOver(topic)).rejects.toMatchObject({ code: 'states_undrained' })
  expect(await store.metadata(stateMetadata.featureSet)).toBe(compiled.plan.featureSetHash)
  committed.set(0, 7)
  await after.takeOver(topic)
  expect(await store.metadata(stateMetadata.featureSet)).toBe(evolved.plan.featureSetHash)
  expect((await store.layouts()).size).toBeGreaterThan(compiled.plan.entities.length)
})

it('stops a processor of the version before that is still there', async () => {
  const { before, after } = versions()
  await before.takeOver(topic)
  await after.takeOver(topic)
  const [old, young] = [compiled.plan.entities[0], evolved.plan.entities[0]]
  if (old === undefined || young === undefined) throw new Error('there are entities')
  const blob = encodeState(young, beginDraft(young, null, 1_780_000_000_000))
  await expect(before.decode(old, [blob], topic)).rejects.toMatchObject({ code: 'states_taken_over' })
  expect(await after.decode(young, [blob, null], topic)).toHaveLength(2)
})

it('begins nothing while the states are being rebuilt', async () => {
  const { store, before } = versions()
  await store.replaceMetadata(stateMetadata.rebuild, null, '{}')
  await expect(before.takeOver(topic)).rejects.toMatchObject({ code: 'state_rebuilding' })
})
