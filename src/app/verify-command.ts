import type { Config } from './config.ts'
import { openEventLog } from './event-log.ts'
import { renderVerify, runVerify } from './verify.ts'

/** `riverbank verify`: 0 when everything holds, 1 when not. */
export async function verifyCommand(
  config: Config,
  options: { readonly json?: boolean; readonly fast?: boolean },
): Promise<number> {
  const log = await openEventLog(config)
  try {
    const report = await runVerify(config, {
      log,
      fast: options.fast === true,
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
