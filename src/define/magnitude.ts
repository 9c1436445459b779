import type { BinaryOperation } from '../engine/expression.ts'

/**
 * How far from 0 a value can be. `most`: no value is farther away; not finite where an operation can leave the finite
 * numbers. `least`: no value but 0 itself is nearer; it bounds what a quotient by this value can reach.
 */
export interface Magnitude {
  readonly least: number
  readonly most: number
}

/**
 * Of an aggregated feature: a sum of integers has fewer than 128 bits, and all others compute from less. A mean or a
 * share is at least one part in 2^53 observations, a deviation at least one part in 2^64.
 */
export const aggregateMagnitude: Magnitude = { least: 2 ** -64, most: 2 ** 128 }
/** Milliseconds: integers that a double holds exactly. */
export const timeMagnitude: Magnitude = { least: 1, most: Number.MAX_SAFE_INTEGER }
export const truthMagnitude: Magnitude = { least: 1, most: 1 }

/** Of a number that a schema keeps between these. */
export function magnitudeBetween(from: number, to: number, whole: boolean): Magnitude {
  const most = Math.min(Number.MAX_VALUE, Math.max(Math.abs(from), Math.abs(to)))
  return { least: whole ? 1 : Number.MIN_VALUE, most }
}

export function constantMagnitude(value: number): Magnitude {
  return { least: value === 0 ? Number.MAX_VALUE : Math.abs(value), most: Math.abs(value) }
}

/** Rounding never passes an equally rounded bound, so the operands' bounds give the result's bound. */
const results: Readonly<Record<BinaryOperation, (a: Magnitude, b: Magnitude) => Magnitude>> = {
  add: sum,
  subtract: sum,
  multiply: (a, b) => ({ least: smallest(a.least * b.least), most: a.most * b.most }),
  ratio: (a, b) => ({ least: smallest(a.least / b.most), most: a.most / b.least }),
  modulo: (a, b) => sum(a, { least: b.least, most: b.most * (a.most / b.least + 1) }),
  less: () => truthMagnitude,
  less_or_equal: () => truthMagnitude,
  equal: () => truthMagnitude,
}

export function magnitudeOf(op: BinaryOperation, a: Magnitude, b: Magnitude): Magnitude {
  return results[op](a, b)
}

export function floorMagnitude(value: Magnitude): Magnitude {
  return { least: 1, most: value.most + 1 }
}

export function eitherMagnitude(a: Magnitude, b: Magnitude): Magnitude {
  return { least: Math.min(a.least, b.least), most: Math.max(a.most, b.most) }
}

/** What is left when two doubles nearly cancel is a multiple of the last place of the smaller one. */
function sum(a: Magnitude, b: Magnitude): Magnitude {
  return { least: smallest(Math.min(a.least, b.least) * 2 ** -53), most: a.most + b.most }
}

/** Below the smallest double there is only 0. */
function smallest(value: number): number {
  return Math.max(value, Number.MIN_VALUE)
}
