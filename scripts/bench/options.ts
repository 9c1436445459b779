import { InvalidArgumentError } from 'commander'

/** Whole numbers from 1 on, separated by commas. */
export function positives(text: string): readonly number[] {
  return text.split(',').map(positive)
}

/** Names separated by commas, each of the known ones. */
export function namesFrom<Name extends string>(known: readonly Name[]): (text: string) => readonly Name[] {
  return (text) =>
    text.split(',').map((given) => {
      const name = known.find((one) => one === given.trim())
      if (name === undefined) throw new InvalidArgumentError(`there is no ${given}: ${known.join(', ')}`)
      return name
    })
}

/** A whole number from 1 on. Errors: commander's, which ends the program with its usage. */
export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on')
  return value
}
