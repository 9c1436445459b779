import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { championPolicy, nameChampion, readPolicies, writePolicies } from '../../scripts/training/champion.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'riverbank-champion-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const type = 'login.attempted'
const thresholds = { review: 0.25, block: 0.75 }
const rules = [{ name: 'many', when: [{ value: 'score', is: '>', than: 0.5 }], decision: 'review' }]
const json = (path: string): unknown => JSON.parse(readFileSync(join(dir, path), 'utf8'))

/** A registry whose champion has a policy, beside a lineup of another type. */
function begin(): void {
  mkdirSync(join(dir, 'takeover/1/policies'), { recursive: true })
  const policy = {
    format: 2,
    version: '3',
    thresholds: { review: 0.9, block: 0.95 },
    block: { ip: ['10.0.0.1'] },
    rules,
  }
  writeFileSync(join(dir, 'takeover/1/policies/3.json'), JSON.stringify(policy))
  const other = { champion: { name: 'reset', version: '1' }, shadows: [] }
  const own = { champion: { name: 'takeover', version: '1', policy: '3' }, shadows: [{ name: 'old', version: '7' }] }
  writeFileSync(join(dir, 'registry.json'), JSON.stringify({ [type]: own, 'password.reset_requested': other }))
}

describe('a new champion', () => {
  test('takes over the lists and rules of the policy before, with thresholds of its own, and says so', async () => {
    begin()
    const model = { name: 'takeover', version: '2' }
    const said = await nameChampion(dir, type, { model, thresholds }, await championPolicy(dir, type))
    expect(json('takeover/2/policies/3.json')).toMatchObject({
      version: '3',
      thresholds,
      rules,
      block: { ip: ['10.0.0.1'] },
    })
    expect(json('registry.json')).toEqual({
      [type]: { champion: { ...model, policy: '3' }, shadows: [{ name: 'old', version: '7' }] },
      'password.reset_requested': { champion: { name: 'reset', version: '1' }, shadows: [] },
    })
    expect(said[0]).toBe('policy of takeover/1@3 taken over, with the thresholds of takeover/2')
  })

  test('that is trained again under its version keeps its policies as they were', async () => {
    begin()
    const model = { name: 'takeover', version: '1' }
    const [before, policies] = [await championPolicy(dir, type), await readPolicies(dir, model)]
    const text = readFileSync(join(dir, 'takeover/1/policies/3.json'), 'utf8')
    rmSync(join(dir, 'takeover/1'), { recursive: true })
    await writePolicies(dir, model, policies)
    const said = await nameChampion(dir, type, { model, thresholds }, before)
    expect(readFileSync(join(dir, 'takeover/1/policies/3.json'), 'utf8')).toBe(text)
    expect(said[0]).toBe('policy 3 of takeover/1 stays')
    expect(json('registry.json')).toMatchObject({ [type]: { champion: { ...model, policy: '3' } } })
  })

  test('of a folder without models has no policy', async () => {
    const model = { name: 'takeover', version: '0' }
    const said = await nameChampion(dir, type, { model, thresholds }, await championPolicy(dir, type))
    expect(json('registry.json')).toEqual({ [type]: { champion: model, shadows: [] } })
    expect(said).toHaveLength(2)
  })
})
