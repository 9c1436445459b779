/** The names that the options of a definition may have. */
interface OptionNames {
  readonly required: readonly string[]
  readonly optional?: readonly string[]
}

/**
 * Refuses a misspelt or a missing option with one sentence. An editor's types say so while one writes, but a build of
 * definitions looks at no types, and `were` for `where` would count what it should leave out.
 */
export function checkOptions(what: string, options: object, { required, optional = [] }: OptionNames): void {
  const known = [...required, ...optional]
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${what}: there is no option ${unknown}; there are ${known.join(', ')}`)
  const given: Readonly<Record<string, unknown>> = { ...options }
  const missing = required.find((name) => given[name] === undefined)
  if (missing !== undefined) throw new Error(`${what}: give it ${missing}`)
}
