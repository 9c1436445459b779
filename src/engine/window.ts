/**
 * Window semantics, once. A window of length w, hop h, delay d, read at time t, holds the tiles ⌊(t−d−w)/h⌋ < tile ≤
 * ⌊(t−d)/h⌋; a state whose newest observation is at M remembers the tiles above ⌊(M−H)/h⌋. A lifetime window has w = ∞,
 * and also holds what was forgotten. All times in integer milliseconds.
 */
export function tileOf(timeMs: number, hopMs: number): number {
  return Math.floor(timeMs / hopMs)
}

/** The newest tile of a window read at `timeMs`: inclusive. */
export function windowEndTile(timeMs: number, delayMs: number, hopMs: number): number {
  return Math.floor((timeMs - delayMs) / hopMs)
}

/** The tile before a window's oldest one: exclusive. */
export function windowStartTile(timeMs: number, delayMs: number, windowMs: number, hopMs: number): number {
  return Math.floor((timeMs - delayMs - windowMs) / hopMs)
}

/** The newest tile that a state has forgotten. */
export function forgottenTile(newestTimeMs: number, horizonMs: number, hopMs: number): number {
  return Math.floor((newestTimeMs - horizonMs) / hopMs)
}
