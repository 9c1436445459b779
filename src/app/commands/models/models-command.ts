import { names, type Config } from '../../installation/settings/config.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { openGenerationStores } from '../../installation/servers/event-log.ts'
import { scoredTypeOfModels } from '../../installation/scored-type.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { table } from '../../command-line/table.ts'
import { parseModelName, type ModelChange, type ModelReference } from '../../../scoring/rollout/generation.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { loadExplanations } from '../../../edges/onnx/load.ts'
import { isModelRefused } from '../../../edges/onnx/refusal.ts'
import {
  createModelAdministration,
  type GenerationReport,
  type ModelAdministration,
} from '../../../serve/models/model-administration.ts'

interface Options {
  readonly json?: boolean
}

export interface ModelsCommandOptions extends Options {
  readonly reason?: string
  /** Seconds. */
  readonly wait: number
  /** Type of the scored events. */
  readonly scores?: string
}

const lookAgainMs = 100

export async function withModels<Result>(config: Config, use: (models: ModelAdministration) => Promise<Result>) {
  const { manifest, scoreForms } = definitions(config)
  const stores = await openGenerationStores(config, scoreForms.keys())
  const typeOf = scoredTypeOfModels(config.MODELS_DIR, manifest)
  const { topics } = names(config)
  try {
    const place = { topic: topics.events, partitions: config.PARTITIONS }
    return await use(createModelAdministration({ stores, typeOf, ...place, clock: systemClock }))
  } finally {
    for (const store of stores.values()) await store.close()
  }
}

/** `riverbank models list`: newest generation first. */
export function listModels(config: Config, options: Options & { readonly limit: number }): Promise<number> {
  return withModels(config, async (models) => {
    const report = await models.report(options.limit)
    if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`)
    else process.stdout.write(table(report.generations.map((one) => rowOf(one, report.partitions))))
    return 0
  })
}

function rowOf(report: GenerationReport, partitions: number) {
  return {
    scores: report.scores,
    generation: report.generation,
    champion: report.champion,
    shadows: report.shadows.join(' ') || '-',
    state: stateOf(report, partitions),
    time: report.time,
    reason: report.reason,
  }
}

function stateOf({ live, activations, refusal }: GenerationReport, partitions: number): string {
  if (live > 0) return `live on ${live} of ${partitions} partitions`
  if (refusal !== null && activations.length === 0) return `refused: ${refusal.detail}`
  return activations.length > 0 ? 'former' : 'not taken'
}

/**
 * `riverbank models promote|shadow|retire|rollback`: appends a generation, and waits until it has taken effect on every
 * partition. 0 when it has, and when no processor has answered within `wait` seconds; 1 when one has refused it.
 */
export function changeModels(
  config: Config,
  asked: { readonly kind: ModelChange['kind']; readonly model?: string },
  options: ModelsCommandOptions,
): Promise<number> {
  const change = changeOf(asked)
  return withModels(config, async (models) => {
    const { generation, scores } = await models.change(change, options.reason ?? '', options.scores ?? null)
    const { report, partitions } = await outcomeOf(models, { generation, scores }, options.wait * 1_000)
    const silent = change.kind === 'promote' ? await unexplainedModel(config.MODELS_DIR, change.model) : null
    if (options.json === true) {
      process.stdout.write(
        `${JSON.stringify({ ...report, ...(silent === null ? {} : { reasonsUnavailable: silent }) })}\n`,
      )
      return report.refusal === null ? 0 : 1
    }
    process.stdout.write(table([rowOf(report, partitions)]))
    if (silent !== null) process.stderr.write(`its decisions come without reasons (${silent.code}): ${silent.detail}\n`)
    return report.refusal === null ? 0 : 1
  })
}

/**
 * Why a model of this folder gives no reasons; null when it does, and when it is not here: then the processors know.
 */
async function unexplainedModel(modelsDir: string, model: ModelReference) {
  try {
    const explanations = await loadExplanations({ modelsDir, ...model })
    return explanations.kind === 'available' ? null : { code: explanations.code, detail: explanations.reason }
  } catch (error) {
    if (isModelRefused(error)) return null
    throw error
  }
}

function changeOf({ kind, model }: { readonly kind: ModelChange['kind']; readonly model?: string }): ModelChange {
  if (kind === 'rollback') return { kind }
  const parsed = parseModelName(model ?? '')
  if (parsed === null) throw new RiverbankError('invalid_model', `"${model}" is no <name>/<version>`)
  return { kind, model: parsed }
}

async function outcomeOf(
  models: ModelAdministration,
  changed: Pick<GenerationReport, 'generation' | 'scores'>,
  waitMs: number,
) {
  const endMs = systemClock.nowMs() + waitMs
  const never = new AbortController().signal
  for (;;) {
    const { partitions, generations } = await models.report(Infinity)
    const report = generations.find(
      ({ generation, scores }) => generation === changed.generation && scores === changed.scores,
    )
    if (report === undefined)
      throw new RiverbankError('state_lost', `generation ${changed.generation} is gone: the store lost it`)
    const isOver = report.refusal !== null || report.activations.length === partitions
    if (isOver || systemClock.nowMs() >= endMs) return { report, partitions }
    await systemClock.sleep(lookAgainMs, never)
  }
}
