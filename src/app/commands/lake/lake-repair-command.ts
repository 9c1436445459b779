import { literal } from '../../../base/sql.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { names, type Config } from '../../installation/settings/config.ts'
import { refuseContradictions } from '../../installation/contradictions.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { openEventLog, openStateStore } from '../../installation/servers/event-log.ts'
import { lakeReaching, requireSeen } from '../../installation/lake/lake-binding.ts'
import { lakeDir, untilStopped } from './lake-check-command.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { isRiverbankError } from '../../../base/errors.ts'
import { openQuery, type Query } from '../../../edges/duckdb/query.ts'
import { openTableWriter } from '../../../edges/duckdb/table-writer.ts'
import { checkLog } from '../../../lake/check/log-check.ts'
import { renderLakeCheck } from '../../../lake/check/text.ts'
import { logFolder } from '../../../lake/commit/log-files.ts'
import { rowPlacement } from '../../../lake/materialize/materializer.ts'
import { publishFileList } from '../../../lake/files/file-list.ts'
import { openLake } from '../../../lake/commit/lake.ts'
import { explainRepair, repairLake, type RepairOptions, type RepairResult } from '../../../lake/repair/repair.ts'
import { stepText, type RepairPlan } from '../../../lake/repair/step.ts'
import type { EventLog } from '../../../ports/log.ts'

export interface LakeRepairOptions {
  readonly json?: boolean
  /** Another copy of the lake's folder. */
  readonly from?: string
  readonly declareLost?: boolean
  /** Without it the command prints the plan and does nothing. */
  readonly yes?: boolean
}

/** Reads at most so many rows of one table from the log before it writes them. */
const rowsPerFile = 50_000

/** `riverbank lake repair`: 0 when the lake is whole, or the plan would make it whole; 1 when damage is left. */
export async function lakeRepairCommand(config: Config, options: LakeRepairOptions): Promise<number> {
  const say = (line: string) => {
    process.stderr.write(`${line}\n`)
  }
  if (options.yes !== true) {
    const { plan, check } = await withRepair(config, options, say, explainRepair)
    const { damaged, lost } = check
    process.stdout.write(options.json === true ? `${JSON.stringify({ ...plan, damaged, lost })}\n` : planText(plan))
    return plan.left.length === 0 ? 0 : 1
  }
  const result = await untilStopped((signal) => runLakeRepair(config, { ...options, signal }, say))
  // Nothing else writes to the lake meanwhile, so no other process would list the new files.
  const lake = await openLake({ dir: lakeDir(config) }).catch(() => null)
  if (lake !== null)
    await publishFileList(lake, definitions(config).lakeSchema).catch((error: unknown) =>
      say(`not listed: ${String(error)}`),
    )
  process.stdout.write(options.json === true ? `${JSON.stringify(result)}\n` : resultText(result))
  return result.check.ok && result.left.length === 0 ? 0 : 1
}

/** Repairs the lake of an installation. Errors: those of {@link repairLake}, `lake_missing` and `lake_mismatch`. */
export function runLakeRepair(
  config: Config,
  options: Pick<LakeRepairOptions, 'from' | 'declareLost'> & { readonly signal?: AbortSignal },
  say: (line: string) => void,
): Promise<RepairResult> {
  return withRepair(config, options, say, repairLake)
}

async function withRepair<Result>(
  config: Config,
  { from, declareLost, signal }: Pick<LakeRepairOptions, 'from' | 'declareLost'> & { readonly signal?: AbortSignal },
  say: (line: string) => void,
  work: (options: RepairOptions) => Promise<Result>,
): Promise<Result> {
  const dir = lakeDir(config)
  const { catalog, lakeSchema: schema } = definitions(config)
  const { topics } = names(config)
  const log = await logOrNull(config, say)
  const writer = await openTableWriter({ threads: 1, memoryMb: 1_024, rowGroupRows: rowsPerFile })
  const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-repair-'))
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir, tempMb: 4_096, setup: [] })
  try {
    if (log !== null) await requireOwnLog(config, dir, log)
    return await work({
      dir,
      copyDir: from ?? null,
      declareLost: declareLost === true,
      log,
      topics: [topics.events, topics.scores],
      writer,
      place: rowPlacement({ topics, catalog, schema }),
      clock: systemClock,
      rowsPerFile,
      heldOffsets: heldOffsetsOf(query),
      onProgress: say,
      ...(signal === undefined ? {} : { signal }),
    })
  } finally {
    query.close()
    await rm(tempDir, { recursive: true, force: true })
    await writer.close()
    await log?.close()
  }
}

/** Refuses a log that belongs to another lake. The damage may keep the lake from opening. */
async function requireOwnLog(config: Config, dir: string, log: EventLog): Promise<void> {
  const { state } = await checkLog(join(dir, logFolder))
  const store = await openStateStore(config)
  try {
    // The repair reads the log with the definitions: other ones would make other rows of it.
    await refuseContradictions(config, { store })
    await requireSeen(config, await lakeReaching(config, dir, state.covered), store, log)
  } finally {
    await store.close()
  }
}

/** A lake can be repaired from a copy while the log is away. */
async function logOrNull(config: Config, say: (line: string) => void): Promise<EventLog | null> {
  try {
    return await openEventLog(config)
  } catch (error) {
    if (!isRiverbankError(error, 'log_unavailable')) throw error
    say(`the log cannot be asked: ${error.message}`)
    return null
  }
}

export function heldOffsetsOf(query: Pick<Query, 'rows'>): RepairOptions['heldOffsets'] {
  return async (paths, { firstOffset, lastOffset }) => {
    const rows = await query.rows(
      `SELECT DISTINCT log_offset FROM read_parquet([${paths.map(literal).join(', ')}], hive_partitioning = false,
         union_by_name = true) WHERE log_offset BETWEEN ${firstOffset} AND ${lastOffset}`,
    )
    return new Set(rows.map((row) => Number(row['log_offset'])))
  }
}

function planText({ steps, left }: RepairPlan): string {
  if (steps.length === 0 && left.length === 0) return 'nothing to repair\n'
  const first = steps.some(({ kind }) => kind === 'restore_commit')
  return [
    ...(steps.length === 0 ? [] : ['stop the materializers, then run it again with --yes; it would']),
    ...steps.map((step) => `- ${stepText(step)}`),
    ...(first ? ['- and then look again, at the files that these commits name'] : []),
    ...left.map(({ what, why }) => `cannot repair ${what}: ${why}`),
    '',
  ].join('\n')
}

function resultText({ done, left, check }: RepairResult): string {
  const told = left.map(({ what, why }) => `not repaired: ${what}: ${why}\n`).join('')
  return `${done.length} steps done\n${told}${renderLakeCheck(check)}`
}
