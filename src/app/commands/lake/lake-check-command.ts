import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../installation/settings/config.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { checkLake, type LakeCheckReport } from '../../../lake/check/lake-check.ts'
import { renderLakeCheck } from '../../../lake/check/text.ts'

const progressMs = 1_000

/** Errors: `lake_missing`. */
export function lakeDir({ DATA_DIR }: Pick<Config, 'DATA_DIR'>): string {
  const dir = join(DATA_DIR, 'lake')
  if (!existsSync(join(dir, '_log'))) throw new RiverbankError('lake_missing', `there is no lake in ${dir}`)
  return dir
}

/** `riverbank lake check`: 0 when every byte is as written, 1 when not, and when it was stopped before its end. */
export async function lakeCheckCommand(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const dir = lakeDir(config)
  const report = await untilStopped(async (signal) => {
    const { report } = await checkLake({ dir, signal, onProgress: progress() })
    return report
  })
  process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : renderLakeCheck(report))
  return report.ok ? 0 : 1
}

/** The first SIGINT or SIGTERM stops the work in an orderly way, the second one ends the process. */
export async function untilStopped<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await work(stopping.signal)
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

function progress(): (so: Pick<LakeCheckReport, 'files' | 'filesChecked' | 'bytesChecked'>) => void {
  let saidMs = performance.now()
  return ({ files, filesChecked, bytesChecked }) => {
    if (performance.now() - saidMs < progressMs) return
    saidMs = performance.now()
    process.stderr.write(`lake check: ${filesChecked} of ${files} files, ${(bytesChecked / 1e6).toFixed(0)} MB\n`)
  }
}
