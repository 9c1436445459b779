import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../installation/settings/config.ts'
import type { Definitions } from '../installation/settings/definitions.ts'
import { scoredSpan, withLakeQuery } from '../installation/lake/lake-query.ts'
import { modelInUse, modelReference } from '../commands/models/model-argument.ts'
import { scoredTypeOfModels } from '../installation/scored-type.ts'
import type { ModelReference } from '../../scoring/rollout/generation.ts'
import type { ScoredColumns } from '../../lake/tables/lake-schema.ts'
import { trainingProfileSchema, type TrainingProfile } from '../../scoring/drift.ts'
import { RiverbankError } from '../../base/errors.ts'
import { dayMs } from '../../base/units.ts'
import type { Query } from '../../edges/duckdb/query.ts'
import { monitorModel, type MonitorReport } from '../../lake/history/monitor.ts'

export interface WatchedSpan {
  /** Days of scored events, up to `to` or the newest one. */
  readonly days: number
  readonly to?: number
  /** Days that labels take; the judged outcomes end so many days before `to`. */
  readonly labelDelay: number
}

export interface MeasuredModel {
  /** `<name>/<version>`. */
  readonly model: string
  /** The columns of the events that it scores. */
  readonly scored: ScoredColumns
  readonly report: MonitorReport
}

/** A model, and the columns of the events that it scores. */
interface Watched {
  readonly model: ModelReference
  readonly scored: ScoredColumns
}

/**
 * Compares the model that scored the newest events of a type with its training and with the labels of its events.
 * Errors: `lake_empty`, `profile_missing`, and `query_failed` when `signal` was aborted.
 */
export async function measureInUse(
  config: Config,
  compiled: Definitions,
  scored: ScoredColumns,
  span: WatchedSpan,
  signal?: AbortSignal,
): Promise<MeasuredModel> {
  const model = await modelInUse(config, compiled, scored, { signal, memoryMb: config.MONITOR_MEMORY_MB })
  return measure(config, compiled, { model, scored }, span, signal)
}

/** The same for a named model. Errors: `invalid_model`, too. */
export async function measureNamed(
  config: Config,
  compiled: Definitions,
  name: string,
  span: WatchedSpan,
): Promise<MeasuredModel> {
  const model = await modelReference(config, compiled, name)
  if (model.policy !== undefined) throw new RiverbankError('invalid_model', 'a model is watched without a policy')
  const eventType = await scoredTypeOfModels(config.MODELS_DIR, compiled.manifest)(model)
  const { scored: all } = compiled.lakeSchema
  // The event type of a service that is no longer defined is unknown, unless there is only one.
  const scored = all.length === 1 ? all[0] : all.find(({ form }) => form.eventType === eventType)
  if (scored === undefined) {
    throw new RiverbankError('invalid_model', `${name} is of a service that this feature set does not have`)
  }
  return measure(config, compiled, { model, scored }, span)
}

async function measure(
  config: Config,
  compiled: Definitions,
  { model, scored }: Watched,
  { days, to, labelDelay }: WatchedSpan,
  signal?: AbortSignal,
): Promise<MeasuredModel> {
  const { lakeSchema: schema } = compiled
  const profile = await readProfile(config, model)
  const work = async (query: Query) => {
    const span = await scoredSpan(query, schema, scored)
    if (span === null) throw new RiverbankError('lake_empty', `the lake has no scored ${scored.plural}`)
    const toMs = to ?? span.lastMs + 1
    const labelDelayMs = labelDelay * dayMs
    return monitorModel({ query, schema, scored, model, profile, fromMs: toMs - days * dayMs, toMs, labelDelayMs })
  }
  const report = await withLakeQuery(config, compiled, work, { signal, memoryMb: config.MONITOR_MEMORY_MB })
  return { model: `${model.name}/${model.version}`, scored, report }
}

async function readProfile(
  { MODELS_DIR }: Pick<Config, 'MODELS_DIR'>,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<TrainingProfile> {
  const path = join(MODELS_DIR, name, version, 'profile.json')
  try {
    return trainingProfileSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new RiverbankError(
      'profile_missing',
      `${name}/${version} has no readable profile.json to compare with: ${reason}`,
    )
  }
}
