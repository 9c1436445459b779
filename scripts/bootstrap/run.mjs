// node scripts/bootstrap/run.mjs [--redis] <entry.ts> [args]: sets up and builds what is missing, then is that program.
// With --redis also a Redis server, unless all that is asked for is help.
import { ensureNode } from './node-version.mjs'

ensureNode()
const { endWithNpm } = await import('./parent.mjs')
endWithNpm()
const { ensureDependencies } = await import('./dependencies.mjs')
const { ensureBuild } = await import('./build.mjs')
const { becomeProgram } = await import('./program.mjs')
const { foreignProject } = await import('./project.mjs')
const { ensureRedis } = await import('./redis.mjs')

const given = process.argv.slice(2)
const needsRedis = given[0] === '--redis'
const [entry, ...args] = needsRedis ? given.slice(1) : given
if (entry === undefined) {
  process.stderr.write('usage: node scripts/bootstrap/run.mjs [--redis] <entry.ts> [args]\n')
  process.exit(2)
}
let build
try {
  await ensureDependencies()
  build = await ensureBuild({ tests: entry.startsWith('test/'), project: foreignProject(args, process.env) })
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(error.code === 'project_refused' ? 2 : 1)
}
const asksForHelp = args.includes('--help') || args.includes('-h')
const problem = needsRedis && !asksForHelp ? await ensureRedis() : null
if (problem !== null) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
await becomeProgram(build, entry, args)
