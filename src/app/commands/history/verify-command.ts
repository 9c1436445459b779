import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../installation/settings/config.ts'
import { openEventLog } from '../../installation/servers/event-log.ts'
import { renderVerify, runVerify } from '../../installation/lake/verify.ts'
import type { VerifyReport } from '../../../lake/verify/report.ts'
import { checkLog, type LogFault } from '../../../lake/check/log-check.ts'
import { faultText } from '../../../lake/check/text.ts'
import { logFolder } from '../../../lake/commit/log-files.ts'

interface VerifyCommandOptions {
  readonly json?: boolean
  readonly fast?: boolean
  /** Compares so many states of each entity; Infinity for all. */
  readonly states?: number
  readonly seed?: number
  /** Milliseconds; a record that is pending for longer makes the exit code 1. */
  readonly pendingMax?: number
}

/** `riverbank verify`: 0 when everything holds, 1 when not, or when something is pending for longer than it may be. */
export async function verifyCommand(config: Config, options: VerifyCommandOptions): Promise<number> {
  const damaged = await damagedCommits(config)
  if (damaged.length > 0) {
    const text = damaged.map((fault) => `damaged ${faultText(fault)}\n`).join('')
    const json = `${JSON.stringify({ ok: false, damaged, violations: 0 })}\n`
    const why =
      'NOT OK: without these commits nobody can tell what the lake holds; riverbank lake repair says what can be done\n'
    process.stdout.write(options.json === true ? json : `${text}${why}`)
    return 1
  }
  const log = await openEventLog(config)
  try {
    const report = await runVerify(config, {
      log,
      fast: options.fast === true,
      ...(options.states === undefined ? {} : { statesPerEntity: options.states }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      onProgress: (text) => {
        process.stderr.write(`${text}\n`)
      },
    })
    process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : renderVerify(report))
    const overdueMs = overdueOf(report, options.pendingMax)
    if (overdueMs !== null) process.stderr.write(`pending_too_long: the oldest is pending for ${overdueMs} ms\n`)
    return report.ok && overdueMs === null ? 0 : 1
  } finally {
    await log.close()
  }
}

/** How long the oldest record is pending, in milliseconds, if longer than it may be; else null. */
export function overdueOf(
  { oldestPendingMs }: Pick<VerifyReport, 'oldestPendingMs'>,
  pendingMaxMs: number | undefined,
): number | null {
  if (pendingMaxMs === undefined || oldestPendingMs === null) return null
  return oldestPendingMs > pendingMaxMs ? Math.round(oldestPendingMs) : null
}

/** Damaged commits that readers of the lake need. */
async function damagedCommits({ DATA_DIR }: Config): Promise<readonly LogFault[]> {
  const folder = join(DATA_DIR, 'lake', logFolder)
  if (!existsSync(folder)) return []
  const { faults, base } = await checkLog(folder)
  return faults.filter(({ version }) => version === null || version > base)
}
