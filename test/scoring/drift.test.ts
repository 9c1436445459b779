import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { trainingProfileSchema } from '../../src/scoring/drift.ts'

const distribution = { edges: [0, 1], shares: [0.25, 0.5, 0.25], usual: { value: 0, share: 0.2 } }
const valid = { format: 1, rows: 10, score: distribution, features: { amount: distribution } }

describe('the profile of a model', () => {
  it('of the shipped model is right', () => {
    const shipped: unknown = JSON.parse(readFileSync('models/fraud/2/profile.json', 'utf8'))
    expect(trainingProfileSchema.safeParse(shipped).error).toBeUndefined()
    expect(trainingProfileSchema.safeParse(valid).error).toBeUndefined()
  })

  it.each([
    ['an unknown field', { ...valid, row: 10 }],
    ['no rows', { ...valid, rows: 0 }],
    ['a share too few', { ...valid, score: { ...distribution, shares: [0.5, 0.5] } }],
    ['edges that fall', { ...valid, score: { ...distribution, edges: [1, 0] } }],
    ['an edge twice', { ...valid, score: { ...distribution, edges: [1, 1] } }],
    ['a share below 0', { ...valid, score: { ...distribution, shares: [-0.5, 0.75, 0.75] } }],
    ['shares that are more than all', { ...valid, score: { ...distribution, shares: [0.5, 0.5, 0.5] } }],
    ['a usual share above 1', { ...valid, features: { a: { ...distribution, usual: { value: 0, share: 2 } } } }],
  ])('is refused with %s', (_what, profile) => {
    expect(trainingProfileSchema.safeParse(profile).success).toBe(false)
  })
})
