import { z } from 'zod'
import { assert } from '../base/errors.ts'

/** The distribution of a value: shares of below `edges[0]`, from each edge to below the next, from the last on. */
const share = z.number().min(0).max(1)
/** Shares are rounded when they are written. */
const sumTolerance = 1e-3
const distribution = z
  .strictObject({
    edges: z.array(z.number()),
    shares: z.array(share),
    /** The most frequent value; of many features it is the default. */
    usual: z.strictObject({ value: z.number(), share }),
  })
  .refine(({ edges, shares }) => shares.length === edges.length + 1, 'has one share more than edges')
  .refine(
    ({ edges }) => edges.every((edge, i) => i === 0 || edge > (edges[i - 1] ?? NaN)),
    'has edges that do not rise',
  )
  .refine(
    ({ shares }) => Math.abs(shares.reduce((sum, one) => sum + one, 0) - 1) <= sumTolerance,
    'has shares that do not add up to 1',
  )

/** `profile.json` of a model: its inputs and its scores over the training rows. */
export const trainingProfileSchema = z.strictObject({
  format: z.literal(1),
  rows: z.number().int().positive(),
  score: distribution,
  features: z.record(z.string(), distribution),
})

export type Distribution = z.infer<typeof distribution>
export type TrainingProfile = z.infer<typeof trainingProfileSchema>

/** A share of nothing would make the index infinite. */
const leastShare = 1e-4

/**
 * Shares with a bin of its own, the first, for the most frequent value: without it a value that nearly all rows have
 * fills its bin, and neither more nor less of it would show.
 */
export function withUsual(
  shares: readonly number[],
  { edges, usual }: Pick<Distribution, 'edges' | 'usual'>,
  usualShare: number,
): number[] {
  const bin = edges.filter((edge) => edge <= usual.value).length
  return [usualShare, ...shares.map((share, i) => (i === bin ? Math.max(0, share - usualShare) : share))]
}

/**
 * The population stability index Σ (p − q)·ln(p ÷ q) over bins. Rule of thumb: below 0.1 stable, above 0.25 shifted
 * (Siddiqi, Credit Risk Scorecards, 2006).
 */
export function stabilityIndex(now: readonly number[], then: readonly number[]): number {
  assert(now.length === then.length, 'both sides have the same bins')
  let index = 0
  for (const [bin, share] of now.entries()) {
    const [p, q] = [Math.max(share, leastShare), Math.max(then[bin] ?? 0, leastShare)]
    index += (p - q) * Math.log(p / q)
  }
  return index
}
