/** Why bytes of the log are unreadable; never leaves this folder as an error. */
export class Damage extends Error {}

/** Throws damage for a read beyond the buffer, instead of a `RangeError`. */
export function need(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Damage(message)
}
