/** Why bytes of the log cannot be read; never leaves this folder as an error. */
export class Damage extends Error {}

/** Reads that would leave the buffer are damage, not a `RangeError` of somebody's. */
export function need(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Damage(message)
}
