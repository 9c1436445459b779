import { loopClock } from '../../clock/loop-clock.ts'

export type Status = 'ok' | 'warn' | 'fail'

export interface Finding {
  readonly status: Status
  readonly detail: string
  /** What to do about it; null when there is nothing to do. */
  readonly fix: string | null
}

export interface Check extends Finding {
  readonly name: string
}

/** One check to run. `run` changes nothing; an error that it throws is a failed check. */
export interface Probe {
  readonly name: string
  /** What to do when it throws or takes too long. */
  readonly fix: string
  run(): Promise<Finding>
}

export const ok = (detail: string): Finding => ({ status: 'ok', detail, fix: null })
export const warn = (detail: string, fix: string): Finding => ({ status: 'warn', detail, fix })
export const fail = (detail: string, fix: string): Finding => ({ status: 'fail', detail, fix })

/** Runs all probes at once, each for at most `timeoutMs`; answers in their order and never rejects. */
export function runProbes(probes: readonly Probe[], timeoutMs: number): Promise<Check[]> {
  return Promise.all(probes.map(async (probe) => ({ name: probe.name, ...(await finding(probe, timeoutMs)) })))
}

async function finding(probe: Probe, timeoutMs: number): Promise<Finding> {
  try {
    const running = probe.run()
    if (await loopClock.within(timeoutMs, running)) return await running
    return fail(`no answer within ${timeoutMs} ms`, probe.fix)
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), probe.fix)
  }
}

/** 1 when any check failed, else 0: a warning is for people. */
export function exitCodeOf(checks: readonly Check[]): 0 | 1 {
  return checks.some(({ status }) => status === 'fail') ? 1 : 0
}

/** One line per check, with what to do below it, and a last line that counts. */
export function renderChecks(checks: readonly Check[]): string {
  const width = Math.max(0, ...checks.map(({ name }) => name.length))
  const indent = ' '.repeat(width + 8)
  const aligned = (text: string) => text.split('\n').join(`\n${indent}`)
  const lines = checks.map(({ name, status, detail, fix }) => {
    const line = `${status.padEnd(4)}  ${name.padEnd(width)}  ${aligned(detail)}`
    return fix === null ? line : `${line}\n${indent}→ ${aligned(fix)}`
  })
  const count = (status: Status) => checks.filter((check) => check.status === status).length
  return `${lines.join('\n')}\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failed\n`
}
