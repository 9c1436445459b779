import { InvalidArgumentError } from 'commander'

/** A whole number from 1 on. Errors: commander's, which ends the program with its usage. */
export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on')
  return value
}
