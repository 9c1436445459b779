import type { Config } from './config.ts'
import { openEventLog } from './event-log.ts'
import { renderVerify, runVerify } from './verify.ts'

/** `riverbank verify`: 0 when everything holds, 1 when not. */
export async function verifyCommand(
  config: Config,
  options: { readonly json?: boolean; readonly fast?: boolean; readonly states?: string; readonly seed?: string },
): Promise<number> {
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
    return report.ok ? 0 : 1
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
