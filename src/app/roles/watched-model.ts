import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../installation/settings/config.ts'
import type { Definitions } from '../installation/settings/definitions.ts'
import { scoredSpan, withLakeQuery } from '../installation/lake/lake-query.ts'
import { modelReference } from '../commands/models/model-argument.ts'
import { trainingProfileSchema, type TrainingProfile } from '../../scoring/drift.ts'
import { RiverbankError } from '../../base/errors.ts'
import { dayMs } from '../../base/units.ts'
import type { Query } from '../../edges/duckdb/query.ts'
import { monitorModel, type MonitorReport } from '../../lake/history/monitor.ts'

export interface WatchedSpan {
  /** Days of scored events, up to `to` or the newest one. */
  readonly days: number
  readonly to?: number
  /** Days that labels take; outcomes are judged so long before. */
  readonly labelDelay: number
}

/**
 * A model, or the one that scored the newest events, against its training and against what became of its events.
 * Errors: `lake_empty`, `profile_missing`, and `query_failed` when `signal` was aborted.
 */
export async function measureModel(
  config: Config,
  compiled: Definitions,
  named: string | undefined,
  { days, to, labelDelay }: WatchedSpan,
  signal?: AbortSignal,
): Promise<{ readonly model: string; readonly report: MonitorReport }> {
  const { lakeSchema: schema } = compiled
  const limits = { signal, memoryMb: config.MONITOR_MEMORY_MB }
  const model = await modelReference(config, compiled, named, limits)
  if (model.policy !== undefined) throw new RiverbankError('invalid_model', 'a model is watched without a policy')
  const profile = await readProfile(config, model)
  const measure = async (query: Query) => {
    const span = await scoredSpan(query, schema)
    if (span === null) throw new RiverbankError('lake_empty', 'the lake has no scored events')
    const toMs = to ?? span.lastMs + 1
    const labelDelayMs = labelDelay * dayMs
    return monitorModel({ query, schema, model, profile, fromMs: toMs - days * dayMs, toMs, labelDelayMs })
  }
  const report = await withLakeQuery(config, compiled, measure, limits)
  return { model: `${model.name}/${model.version}`, report }
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
