// Loads on any Node with ES modules, so that an old one gets a sentence and not a syntax error.
const needed = [20, 19]

/** Null when this Node can run Riverbank, else one line that says what to do. */
export function nodeTooOld(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number)
  if (major > needed[0] || (major === needed[0] && minor >= needed[1])) return null
  return `Riverbank needs Node ${needed.join('.')} or newer, this is ${version}: install it from https://nodejs.org`
}

export function ensureNode() {
  const problem = nodeTooOld()
  if (problem === null) return
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
