import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { names, type Config } from '../settings/config.ts'
import { definitions, modelLoader, type Definitions } from '../settings/definitions.ts'
import { openStateStore } from '../servers/event-log.ts'
import { lakeSeen } from './lake-binding.ts'
import { lakeFolder } from './lake-folder.ts'
import { lakeLag, untilNoneLeft } from './lake-progress.ts'
import { oldestUnreadMs } from '../servers/oldest-unread.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { createFeatureSql } from '../../../compile/sql/feature-sql.ts'
import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import { isSame } from '../../../scoring/rollout/generation.ts'
import { lakeMismatch } from '../../../engine/states-status.ts'
import { openQuery } from '../../../edges/duckdb/query.ts'
import { listModels, loadPolicy } from '../../../edges/onnx/load.ts'
import { openLake, type Lake } from '../../../lake/commit/lake.ts'
import { readLogPositions, type LogPositions, type Topics } from '../../../lake/verify/watermark.ts'
import type { VerifyReport } from '../../../lake/verify/report.ts'
import type { LoadedPolicy, PolicyOfModel } from '../../../lake/verify/scores/verdicts.ts'
import { verifyLake } from '../../../lake/verify/verify.ts'
import { servicePlan } from '../../../scoring/service.ts'
import type { EventLog } from '../../../ports/log.ts'
import type { Scorer } from '../../../ports/scorer.ts'
import { stateMetadata, type StateStore } from '../../../ports/states.ts'

export { renderVerify } from '../../../lake/verify/text.ts'
export type { VerifyReport } from '../../../lake/verify/report.ts'

export interface RunVerifyOptions {
  /** Only read. Without it verify does not see records that never reached the lake. */
  readonly log?: Pick<EventLog, 'driver' | 'describeTopic' | 'committed' | 'tail' | 'members'>
  /** Entities of each kind whose states are compared with the lake; Infinity for all, 0 for none. Default 1,000. */
  readonly statesPerEntity?: number
  /** Chooses those entities. Default: by the clock. */
  readonly seed?: number
  /** Compares sizes of files instead of checksums. */
  readonly fast: boolean
  readonly onProgress?: (line: string) => void
}

const statesPerEntity = 1_000

/**
 * `riverbank verify`: recomputes I1 to I5 of this installation. Writes nothing but its own temporary files. Errors:
 * `lake_mismatch`, those of the log, the lake and the state store. For a model that cannot be loaded it reports a line
 * of progress, and counts the model's scores as not recomputed.
 */
export async function runVerify(config: Config, options: RunVerifyOptions): Promise<VerifyReport> {
  const compiled = definitions(config)
  const say = options.onProgress ?? (() => undefined)
  const lake = await openLake({ dir: lakeFolder(config), clock: systemClock })
  const perEntity = options.statesPerEntity ?? statesPerEntity
  const store = perEntity === 0 ? null : await openStateStore(config)
  try {
    if (store !== null) await checkLake(config, lake, store)
    return await verifyWith(config, options, { compiled, lake, store, perEntity, say })
  } finally {
    await store?.close()
  }
}

interface Opened {
  readonly compiled: Definitions
  readonly lake: Lake
  readonly store: StateStore | null
  readonly perEntity: number
  readonly say: (line: string) => void
}

/** Refuses states of another lake: they would differ from this lake everywhere, though both may be right. */
async function checkLake(config: Config, lake: Lake, store: StateStore): Promise<void> {
  const foreign = lakeMismatch(await store.metadata(stateMetadata.lake), await lakeSeen(config, lake), config.NAMESPACE)
  if (foreign?.kind === 'refused') throw new RiverbankError(foreign.code, foreign.reason)
}

async function verifyWith(config: Config, options: RunVerifyOptions, opened: Opened): Promise<VerifyReport> {
  const { compiled, lake, store, perEntity, say } = opened
  const { topics, groups } = names(config)
  const { log } = options
  const positions = options.log === undefined ? null : await readLogPositions(options.log, topics, groups.process)
  if (log !== undefined && positions !== null) {
    const isAttended = () => log.members(groups.materialize, topics.events).then(Boolean, () => true)
    await catchUp(lake, positions, topics, { isAttended, say })
  }
  const scorers = await loadableModels(config, compiled, say)
  const sample = {
    perEntity,
    seed: options.seed ?? systemClock.nowMs() % 1_000_000,
  }
  const tempDir = await mkdtemp(join(config.DATA_DIR, 'verify-'))
  try {
    return await verifyLake({
      lake,
      openQuery: (setup) =>
        openQuery({ threads: availableParallelism(), memoryMb: 2_048, tempDir, tempMb: 65_536, setup }),
      schema: compiled.lakeSchema,
      topics,
      sql: createFeatureSql(compiled.set),
      scorers,
      loadPolicy: policyLoader(config, compiled, scorers, say),
      positions,
      ...(log === undefined
        ? {}
        : { oldestUnreadMs: ({ covered }) => oldestUnreadMs(log, [topics.events, topics.scores], covered) }),
      states: store === null ? null : { store, plan: compiled.plan, sample },
      fast: options.fast,
      clock: systemClock,
      onProgress: progressLines(say),
    })
  } finally {
    for (const scorer of scorers) await scorer.close()
    await rm(tempDir, { recursive: true, force: true })
  }
}

/**
 * Waits while the lake takes in the records that the log had when verify began; those it does not take are `pending`.
 */
async function catchUp(
  lake: Lake,
  positions: LogPositions,
  topics: Topics,
  { isAttended, say }: { readonly isAttended: () => Promise<boolean>; readonly say: (line: string) => void },
): Promise<void> {
  let isReported = false
  const onLook = (left: number) => {
    if (!isReported) say(`waiting for the lake: ${left} records behind the log`)
    isReported = true
  }
  await untilNoneLeft(() => lakeLag(lake, positions, topics), { isAttended, clock: systemClock, onLook })
}

/**
 * Loads every model of the folder, not only those in use: only the lake knows which have scored. A model that cannot be
 * loaded is no reason to fail; verify counts its scores.
 */
async function loadableModels(config: Config, compiled: Definitions, say: (line: string) => void): Promise<Scorer[]> {
  const load = modelLoader(config.MODELS_DIR, compiled)
  const found: Scorer[] = []
  for (const model of await listModels(config.MODELS_DIR)) {
    try {
      found.push(await load(model))
    } catch (error) {
      if (!isRiverbankError(error, 'model_refused')) throw error
      say(`scores of ${model.name}/${model.version} are not recomputed: ${error.message}`)
    }
  }
  return found
}

/** By model and version; null for a policy that is gone or unreadable, or whose model is gone. */
function policyLoader(
  { MODELS_DIR }: Config,
  { plan }: Definitions,
  scorers: readonly Scorer[],
  say: (line: string) => void,
) {
  return async ({ name, version, policy }: PolicyOfModel): Promise<LoadedPolicy | null> => {
    const scorer = scorers.find((one) => isSame(one, { name, version }))
    if (scorer === undefined) return null
    const service = servicePlan(plan, scorer.service)
    try {
      return { names: service.names, ...(await loadPolicy(MODELS_DIR, { name, version, policy }, service)) }
    } catch (error) {
      if (!isRiverbankError(error, 'model_refused')) throw error
      say(`decisions of ${name}/${version}@${policy} are not recomputed: ${error.message}`)
      return null
    }
  }
}

const rowsBetweenLines = 200_000

/** Prints one line when a phase begins, and one every so many rows; phases may run at the same time. */
function progressLines(say: (line: string) => void): (phase: string, rows: number) => void {
  const nextOf = new Map<string, number>()
  return (phase, rows) => {
    const next = nextOf.get(phase)
    if (next !== undefined && rows < next) return
    say(next === undefined ? `verify: ${phase}` : `verify: ${phase}, ${rows} rows`)
    nextOf.set(phase, rows + rowsBetweenLines)
  }
}
