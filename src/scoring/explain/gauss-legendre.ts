import { numberAt } from '../../base/arrays.ts'
/** Points and weights on [0, 1]: Σ weight·p(point) is the integral of every polynomial p of degree 2n − 1 and below. */
export interface Quadrature {
  readonly points: Float64Array
  readonly weights: Float64Array
}

/** More halvings than a double has bits between −1 and 1. */
const halvings = 80

/**
 * Gauss-Legendre with `size` points. Found by halving between the roots of the polynomial one degree below, which
 * interlace: nothing but + − × ÷, so that every machine has the same bits.
 */
export function gaussLegendre(size: number): Quadrature {
  let roots: number[] = []
  for (let degree = 1; degree <= size; degree += 1) {
    const ends = [-1, ...roots, 1]
    roots = Array.from({ length: degree }, (_, i) => rootBetween(degree, numberAt(ends, i), numberAt(ends, i + 1)))
  }
  const points = Float64Array.from(roots, (root) => (1 + root) / 2)
  const weights = Float64Array.from(roots, (root) => {
    // P'(x) = n·(P₋(x) − x·P(x)) ÷ (1 − x²), and P is 0 here; the weight on [−1, 1] is halved for [0, 1].
    const slope = (size * legendre(size, root).below) / (1 - root * root)
    return 1 / ((1 - root * root) * slope * slope)
  })
  return { points, weights }
}

function rootBetween(degree: number, low: number, high: number): number {
  const sign = Math.sign(legendre(degree, low).value)
  let [left, right] = [low, high]
  for (let i = 0; i < halvings; i += 1) {
    const middle = (left + right) / 2
    if (Math.sign(legendre(degree, middle).value) === sign) left = middle
    else right = middle
  }
  return (left + right) / 2
}

/** Pₙ(x), and Pₙ₋₁(x) below it. */
function legendre(degree: number, x: number): { readonly value: number; readonly below: number } {
  let below = 1
  let value = x
  for (let n = 2; n <= degree; n += 1) {
    const next = ((2 * n - 1) * x * value - (n - 1) * below) / n
    below = value
    value = next
  }
  return { value, below }
}
