import type { Config } from './config.ts'
import { openEventLog } from './event-log.ts'
import { renderVerify, runVerify } from './verify.ts'

interface VerifyCommandOptions {
  readonly json?: boolean
  readonly fast?: boolean
  readonly states?: string
  readonly seed?: string
  /** Milliseconds; what is pending for longer is no longer well. */
  readonly pendingMax?: number
}

/** `riverbank verify`: 0 when everything holds, 1 when not, or when something is pending for longer than it may be. */
export async function verifyCommand(config: Config, options: VerifyCommandOptions): Promise<number> {
  const [perEntity, seed] = [wholeOr(options.states, 'all'), wholeOr(options.seed)]
  if (perEntity === 'wrong' || seed === 'wrong') {
    process.stderr.write('error: --states takes a whole number or "all", --seed a whole number\n')
    return 2
  }
  const log = await openEventLog(config)
  try {
    const report = await runVerify(config, {
      log,
      fast: options.fast === true,
      ...(perEntity === null ? {} : { statesPerEntity: perEntity }),
      ...(seed === null ? {} : { seed }),
      onProgress: (text) => {
        process.stderr.write(`${text}\n`)
      },
    })
    process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : renderVerify(report))
    const { oldestPendingMs: oldestMs } = report
    const isOverdue = options.pendingMax !== undefined && oldestMs !== null && oldestMs > options.pendingMax
    if (isOverdue) process.stderr.write(`pending_too_long: the oldest is pending for ${Math.round(oldestMs)} ms\n`)
    return report.ok && !isOverdue ? 0 : 1
  } finally {
    await log.close()
  }
}

/** Infinity for the word; null for nothing. */
function wholeOr(text: string | undefined, all?: string): number | 'wrong' | null {
  if (text === undefined) return null
  if (text === all) return Infinity
  return /^\d{1,9}$/.test(text) ? Number(text) : 'wrong'
}
