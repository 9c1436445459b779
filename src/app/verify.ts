import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { names, type Config } from './config.ts'
import { definitions, loadModel, modelLoader, type Definitions } from './definitions.ts'
import { openStateStore } from './event-log.ts'
import { systemClock } from './role.ts'
import { createFeatureSql } from '../compile/feature-sql.ts'
import { isRiverbankError } from '../core/errors.ts'
import { isSame } from '../core/generation.ts'
import { openQuery } from '../edges/duckdb/query.ts'
import { listModels, loadPolicy } from '../edges/onnx/load.ts'
import { openLake, type Lake } from '../lake/lake.ts'
import { lagOf, readLogPositions, type LogPositions, type Topics } from '../lake/verify/frontier.ts'
import type { VerifyReport } from '../lake/verify/report.ts'
import type { LoadedPolicy, PolicyOfModel } from '../lake/verify/verdicts.ts'
import { verifyLake } from '../lake/verify/verify.ts'
import { servicePlan } from '../process/scoring.ts'
import type { EventLog, Scorer } from '../ports.ts'

export { renderVerify } from '../lake/verify/text.ts'
export type { VerifyReport } from '../lake/verify/report.ts'

export interface RunVerifyOptions {
  /** Only read. Without it nothing is known of what never reached the lake. */
  readonly log?: Pick<EventLog, 'driver' | 'describeTopic' | 'committed'>
  /** Entities of each kind whose states are compared with the lake; Infinity for all, 0 for none. Default 1,000. */
  readonly statesPerEntity?: number
  /** Chooses them. Default: by the clock. */
  readonly seed?: number
  /** Compares sizes of files instead of checksums. */
  readonly fast: boolean
  readonly onProgress?: (line: string) => void
}

/** The lake is given this long to take in what the log held when verify began; what is missing then is `pending`. */
const catchUpMs = 30_000
const statesPerEntity = 1_000
const catchUpPollMs = 200

/**
 * `riverbank verify`: recomputes I1 to I5 of this installation. Writes nothing but its own temporary files.
 * Errors: those of the log, the lake and the state store. A model that cannot be loaded is a note in the report: scores are then not
 * recomputed.
 */
export async function runVerify(config: Config, options: RunVerifyOptions): Promise<VerifyReport> {
  const compiled = definitions()
  const { topics, groups } = names(config)
  const say = options.onProgress ?? (() => undefined)
  const lake = await openLake({ dir: join(config.DATA_DIR, 'lake'), clock: systemClock })
  const positions = options.log === undefined ? null : await readLogPositions(options.log, topics, groups.process)
  if (positions !== null) await catchUp(lake, positions, topics, say)
  const scorer = await modelOrNull(config, compiled, say)
  const otherScorers = scorer === null ? [] : await otherModels(config, compiled, scorer)
  const perEntity = options.statesPerEntity ?? statesPerEntity
  const store = perEntity === 0 ? null : await openStateStore(config)
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
      manifest: compiled.manifest,
      scoredType: compiled.set.scored,
      topics,
      sql: createFeatureSql(compiled.set),
      scorer,
      otherScorers,
      loadPolicy: policyLoader(config, compiled, scorer === null ? [] : [scorer, ...otherScorers]),
      positions,
      states: store === null ? null : { store, plan: compiled.plan, sample },
      fast: options.fast,
      clock: systemClock,
      onProgress: progressLines(say),
    })
  } finally {
    for (const model of [scorer, ...otherScorers]) await model?.close()
    await store?.close()
    await rm(tempDir, { recursive: true, force: true })
  }
}

async function catchUp(
  lake: Lake,
  positions: LogPositions,
  topics: Topics,
  say: (line: string) => void,
): Promise<void> {
  const endMs = systemClock.nowMs() + catchUpMs
  const never = new AbortController().signal
  for (let waited = false; ; waited = true) {
    const snapshot = await lake.snapshot()
    const lag = (lagOf(snapshot, positions, topics.events) ?? 0) + (lagOf(snapshot, positions, topics.scores) ?? 0)
    if (lag === 0 || systemClock.nowMs() >= endMs) return
    if (!waited) say(`waiting for the lake: ${lag} records behind the log`)
    await systemClock.sleep(catchUpPollMs, never)
  }
}

async function modelOrNull(config: Config, compiled: Definitions, say: (line: string) => void): Promise<Scorer | null> {
  try {
    return await loadModel(config.MODELS_DIR, compiled)
  } catch (error) {
    if (!isRiverbankError(error, 'model_refused')) throw error
    say(`scores are not recomputed: ${error.message}`)
    return null
  }
}

/** Which of them have scored only the lake knows; a model that cannot be loaded is no reason to fail. */
async function otherModels(config: Config, compiled: Definitions, champion: Scorer): Promise<Scorer[]> {
  const load = modelLoader(config.MODELS_DIR, compiled)
  const found: Scorer[] = []
  for (const model of await listModels(config.MODELS_DIR)) {
    if (isSame(model, champion)) continue
    const scorer = await load(model).catch((error: unknown) => {
      if (isRiverbankError(error, 'model_refused')) return null
      throw error
    })
    if (scorer !== null) found.push(scorer)
  }
  return found
}

/** By model and version; null for one that is not there any more, or whose model is not. */
function policyLoader({ MODELS_DIR }: Config, { plan }: Definitions, scorers: readonly Scorer[]) {
  return async ({ name, version, policy }: PolicyOfModel): Promise<LoadedPolicy | null> => {
    const scorer = scorers.find((one) => isSame(one, { name, version }))
    if (scorer === undefined) return null
    const { names: values } = servicePlan(plan, scorer.service)
    try {
      return { names: values, ...(await loadPolicy(MODELS_DIR, { name, version, policy }, values)) }
    } catch (error) {
      if (isRiverbankError(error)) return null
      throw error
    }
  }
}

const rowsBetweenLines = 200_000

/** One line when a phase begins, and one every so many rows. */
function progressLines(say: (line: string) => void): (phase: string, rows: number) => void {
  let current = ''
  let next = 0
  return (phase, rows) => {
    if (phase === current && rows < next) return
    if (phase !== current) say(`verify: ${phase}`)
    else say(`verify: ${phase}, ${rows} rows`)
    current = phase
    next = rows + rowsBetweenLines
  }
}
