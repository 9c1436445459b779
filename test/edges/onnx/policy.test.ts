import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadPolicy } from '../../../src/edges/onnx/load.ts'
import { modelsFolder } from './model-folder.ts'

const service = { names: ['amount', 'count'], entities: ['customer'], fields: new Map() }
const rule = { name: 'many', when: [{ value: 'count', is: '>', than: 3 }], decision: 'review' }
const valid = { format: 2, version: '2', thresholds: { review: 0.5, block: 0.9 }, rules: [rule] }
const reference = { name: 'fraud', version: '1', policy: '2' }

function folderWith(content: unknown): string {
  const modelsDir = modelsFolder()
  const path = join(modelsDir, 'fraud', '1', 'policies', '2.json')
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return modelsDir
}

describe('a policy beside its model', () => {
  it('decides with the values of the service', async () => {
    const { version, decide } = await loadPolicy(folderWith(valid), reference, service)
    expect(version).toBe('2')
    const input = { entityIds: { customer: 'c' }, data: {}, score: 0.1, values: [1, 4] }
    expect(decide(input)).toEqual({ decision: 'review', decidedBy: 'rule:many' })
    expect(decide({ ...input, values: [1, 3] })).toEqual({ decision: 'approve', decidedBy: 'model' })
  })

  it.each([
    ['is no JSON', '{', 'policy_invalid'],
    [
      'has a rule over what the service does not have',
      { ...valid, rules: [{ ...rule, when: [{ value: 'x', is: '>', than: 3 }] }] },
      'policy_invalid',
    ],
    ['is of the format before', { ...valid, format: 1, allow: { customers: ['c'] } }, 'policy_invalid'],
    ['names another version than its file', { ...valid, version: '3' }, 'policy_invalid'],
    ['breaks its schema', { ...valid, thresholds: { review: 2, block: 3 } }, 'policy_invalid'],
  ])('is refused when it %s', async (_what, content, reason) => {
    await expect(loadPolicy(folderWith(content), reference, service)).rejects.toMatchObject({
      code: 'model_refused',
      reason,
    })
  })

  it('is refused when it is not there, or outside of the folder', async () => {
    const modelsDir = folderWith(valid)
    const missing = loadPolicy(modelsDir, { ...reference, policy: '9' }, service)
    await expect(missing).rejects.toMatchObject({ code: 'model_refused', reason: 'policy_missing' })
    const outside = loadPolicy(modelsDir, { ...reference, policy: '../../2' }, service)
    await expect(outside).rejects.toMatchObject({ code: 'model_refused' })
  })
})
