// npm start [-- args]: sets up what is missing, then runs the demo.
import { ensureNode } from './bootstrap/node-version.mjs'

ensureNode()
const { ensureDependencies } = await import('./bootstrap/dependencies.mjs')
const { becomeProgram } = await import('./bootstrap/program.mjs')
const { ensureRedis } = await import('./bootstrap/redis.mjs')

try {
  await ensureDependencies()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}
const problem = await ensureRedis()
if (problem !== null) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
await becomeProgram('scripts/demo.ts', process.argv.slice(2))
