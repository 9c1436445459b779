import { modelName, type Activation, type Rollout } from '../../scoring/rollout/generation.ts'
import { assert, isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { GenerationStore } from '../../ports/generations.ts'
import type { Scorer } from '../../ports/scorer.ts'
import type { LoadedRollout, ModelPool } from './model-pool.ts'

/** The models that score the offsets from `from` on. */
export interface Serving {
  readonly from: number
  readonly rollout: LoadedRollout
}

/**
 * Answers which models score the offsets of a partition from one on, newest first: an offset belongs to the first that
 * is not above it. The pipeline asks for every batch, after the position has passed it: what takes effect later does so
 * above the position. Errors: `state_unavailable`, `model_unavailable` (both canRetry).
 */
export type ServingModels = (topic: string, partition: number, from: number) => Promise<readonly Serving[]>

export interface ServingOptions {
  readonly store: Pick<GenerationStore, 'activations'>
  readonly pool: ModelPool
  /** Begins the list of generations again, after the store was emptied. */
  readonly begin: () => Promise<void>
}

export function createServingModels({ store, pool, begin }: ServingOptions): ServingModels {
  const activationsOf = async (topic: string, partition: number, from: number): Promise<readonly Activation[]> => {
    const found = await store.activations(topic, partition, from)
    if (found.length > 0) return found
    await begin()
    return store.activations(topic, partition, from)
  }
  return async (topic, partition, from) => {
    const found = await activationsOf(topic, partition, from)
    if (found.length === 0) {
      throw new RiverbankError('model_unavailable', 'there is no generation of models', { canRetry: true })
    }
    const servings: Serving[] = []
    for (const { offset, generation } of found) {
      servings.push({ from: offset, rollout: await loaded(pool, generation, `${topic}/${partition} from ${offset} on`) })
    }
    return servings
  }
}

/** Other models would publish another copy of a score: the processor waits until the files are there. */
async function loaded(pool: ModelPool, rollout: Rollout & { readonly number: number }, where: string) {
  try {
    return await pool.rollout(rollout)
  } catch (error) {
    if (!isRiverbankError(error, 'model_refused')) throw error
    const names = [rollout.champion, ...rollout.shadows].map(modelName).join(', ')
    const why = `generation ${rollout.number} (${names}) scores ${where} and cannot be loaded here: ${error.message}`
    throw new RiverbankError('model_unavailable', why, { canRetry: true, cause: error })
  }
}

/** The same models for every offset. */
export function fixedModels(champion: Scorer, shadows: readonly Scorer[] = []): ServingModels {
  const servings = [{ from: 0, rollout: { champion, shadows } }]
  return () => Promise.resolve(servings)
}

export function rolloutAt(servings: readonly Serving[], offset: number): LoadedRollout {
  const serving = servings.find(({ from }) => from <= offset)
  assert(serving !== undefined, () => `offset ${offset} is scored by somebody`)
  return serving.rollout
}
