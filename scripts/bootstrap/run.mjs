// node scripts/bootstrap/run.mjs <entry.ts> [args]: sets up what is missing, then is that program.
import { ensureNode } from './node-version.mjs'

ensureNode()
const { ensureDependencies } = await import('./dependencies.mjs')
const { becomeProgram } = await import('./program.mjs')

const [entry, ...args] = process.argv.slice(2)
if (entry === undefined) {
  process.stderr.write('usage: node scripts/bootstrap/run.mjs <entry.ts> [args]\n')
  process.exit(2)
}
try {
  await ensureDependencies()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}
await becomeProgram(entry, args)
