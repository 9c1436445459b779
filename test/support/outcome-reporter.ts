import { readFileSync, writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule, TestSuite, Vitest } from 'vitest/node'
import { knownMissing, requirements, type Requirement } from './missing.ts'
import type { Left, Outcome } from './outcome.ts'

/** Where the outcome of a run is written when set; scripts/test.mjs reads it. */
const outcomeVariable = 'TEST_OUTCOME_FILE'

const supportOf: Readonly<Record<Requirement, string>> = {
  Redis: 'support/redis-server.ts',
  Kafka: 'support/kafka-broker.ts',
  Python: 'support/python.ts',
}

/** Lists what did not run, and why: a suite that is skipped in silence is a suite that nobody runs. */
export default class OutcomeReporter implements Reporter {
  #isFiltered = false

  onInit(vitest: Vitest): void {
    this.#isFiltered = vitest.config.testNamePattern !== undefined
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const broken = modules.flatMap((module) => [module, ...module.children.allSuites()].filter(isBroken))
    const left = modules.flatMap((module) => this.#leftIn(module))
    const failed = count('failed') + broken.length + unhandled.length
    // A test that was still waiting when its suite broke has not run either.
    const outcome: Outcome = { passed: count('passed'), failed, skipped: count('skipped') + count('pending'), left }
    const lines = left.map(({ kind, name, reason }) => `  skipped ${kind}: ${name} (${reason})\n`)
    if (!this.#isFiltered) process.stdout.write(lines.join(''))
    const file = process.env[outcomeVariable]
    if (file !== undefined && file !== '') writeFileSync(file, JSON.stringify(outcome))
  }

  #leftIn(module: TestModule): Left[] {
    const reason = (name: string) => (this.#isFiltered ? 'not asked for by name' : reasonFor(module, name))
    const file = module.relativeModuleId
    if (isSkipped(module)) {
      const names = [...module.children.allSuites()].map((suite) => suite.name).join(' ')
      return [{ kind: 'suite', name: file, reason: reason(names) }]
    }
    const suites = [...module.children.allSuites()].filter(isSkipped).filter((suite) => {
      return suite.parent.type === 'module' || !isSkipped(suite.parent)
    })
    const inside = new Set(suites.flatMap((suite) => [...suite.children.allTests()]))
    const single = [...module.children.allTests('skipped')].filter((test) => !inside.has(test))
    return [
      ...suites.map((suite) => ({
        kind: 'suite' as const,
        name: `${file} > ${suite.fullName}`,
        reason: reason(suite.name),
      })),
      ...single.map((test) => {
        const result = test.result()
        const note = result.state === 'skipped' ? result.note : undefined
        return { kind: 'test' as const, name: `${file} > ${test.fullName}`, reason: note ?? reason(test.name) }
      }),
    ]
  }
}

function isSkipped(task: TestModule | TestSuite): boolean {
  const tests = [...task.children.allTests()]
  return tests.length > 0 && !isBroken(task) && tests.every((test) => test.result().state === 'skipped')
}

function isBroken(task: TestModule | TestSuite): boolean {
  return task.errors().length > 0
}

/** What the suite says in its name, else what the file needs and this machine has not. */
function reasonFor(module: TestModule, name: string): string {
  const said = /\(skipped: (.*)\)/.exec(name)?.[1]
  const source = readFileSync(module.moduleId, 'utf8')
  const needed = requirements.filter((requirement) => source.includes(supportOf[requirement]))
  const missing = needed.filter((requirement) => knownMissing(requirement) !== null)
  if (missing.length > 0) return missing.map((requirement) => `${requirement}: ${knownMissing(requirement)}`).join('; ')
  return said ?? (needed.length > 0 ? `needs ${needed.join(', ')}` : 'no reason given')
}
