// npm test [-- vitest's arguments]: sets up, says what this machine can run, runs it, and ends with two lines:
// what was skipped and why, and "N passed, N failed, N skipped".
import { ensureNode } from './bootstrap/node-version.mjs'

ensureNode()
const { endWithNpm } = await import('./bootstrap/parent.mjs')
endWithNpm()
const { mkdtempSync, readFileSync, rmSync } = await import('node:fs')
const { tmpdir } = await import('node:os')
const { join } = await import('node:path')
const { pathToFileURL } = await import('node:url')
const { ensureBuild } = await import('./bootstrap/build.mjs')
const { ensureDependencies, root } = await import('./bootstrap/dependencies.mjs')
const { ensureRedis } = await import('./bootstrap/redis.mjs')
const { runChild } = await import('./bootstrap/child.mjs')

const say = (line) => process.stdout.write(`${line}\n`)
const mayNotSkip = process.env.CI === 'true'

/** Answers why the suites that need it cannot run here, null when they can; under CI=true the probes throw. */
async function why(probe) {
  try {
    return await probe()
  } catch (error) {
    return error.message
  }
}

const built = async (file) => import(pathToFileURL(join(await ensureBuild({ tests: true }), file)).href)

async function probes() {
  const { kafkaAvailable, kafkaJars, kafkaVersion, defaultCacheDir } = await built('scripts/kafka/distribution.js')
  const { clientsAvailable, makersAvailable, pythonAvailable } = await built('test/support/python.js')
  const { redisAvailable } = await built('test/support/redis-server.js')
  return {
    Redis: redisAvailable,
    [`Kafka ${kafkaVersion}`]: async () => {
      const available = kafkaAvailable()
      if (available.kind === 'missing') return available.reason
      // Here rather than in the first suite that needs it, whose time is limited.
      await kafkaJars({ cacheDir: defaultCacheDir(), onProgress: say })
      return null
    },
    Python: async () => {
      const reason = (await pythonAvailable()) ?? (await clientsAvailable())
      // The libraries of other people's models are made here, too, before a suite waits for them.
      if (reason === null) await makersAvailable()
      return reason
    },
  }
}

/** What is missing on this machine, by requirement. */
async function lookAround() {
  const missing = {}
  say(`Node ${process.versions.node}`)
  for (const [name, probe] of Object.entries(await probes())) {
    const reason = await why(probe)
    say(reason === null ? `${name}: yes` : `${name}: no, ${reason}`)
    if (reason !== null) missing[name.split(' ')[0]] = reason.replaceAll(/\s+/g, ' ')
  }
  return missing
}

async function runVitest(args, missing) {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-test-'))
  const file = join(dir, 'outcome.json')
  try {
    const env = { ...process.env, TEST_OUTCOME_FILE: file, TEST_MISSING: JSON.stringify(missing) }
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
    const reporters = ['--reporter=default', '--reporter=./test/support/outcome-reporter.ts']
    const code = await runChild(process.execPath, [vitest, 'run', ...reporters, ...args], { cwd: root, env })
    return { code, outcome: readOutcome(file) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function readOutcome(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, skipped: 0, left: [] }
  }
}

async function main() {
  await ensureDependencies()
  const redis = await ensureRedis()
  if (redis !== null) say(redis)
  const missing = await lookAround()
  // Said now, not after all other suites ran.
  if (mayNotSkip && Object.keys(missing).length > 0) throw new Error('CI=true allows no skipping')
  const { code, outcome } = await runVitest(process.argv.slice(2), missing)
  const { countsLine, skippedLine } = await built('test/support/outcome.js')
  const needed = outcome.left.filter(({ reason }) => /^(Redis|Kafka|Python):/.test(reason))
  const forbidden = mayNotSkip ? needed.length : 0
  if (forbidden > 0) say(`CI=true allows no skipping: ${forbidden} of what was skipped counts as failed`)
  const failed = outcome.failed + forbidden
  const isGood = code === 0 && failed === 0
  say(skippedLine(outcome.left))
  say(countsLine({ ...outcome, failed: isGood ? 0 : Math.max(1, failed) }))
  return isGood ? 0 : code === 0 ? 1 : code
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  say('skipped: everything (the set-up failed)')
  say('0 passed, 1 failed, 0 skipped')
  process.exitCode = 1
}
