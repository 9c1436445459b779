import type { Rollout, ModelReference } from '../../scoring/rollout/generation.ts'
import { modelName } from '../../scoring/rollout/generation.ts'
import type { Scorer } from '../../ports/scorer.ts'

/** The loaded models of a rollout. Equal rollouts are the same object, so that it can be a key. */
export interface LoadedRollout {
  readonly champion: Scorer
  readonly shadows: readonly Scorer[]
}

/** Rollouts whose models stay loaded: the live one, those that a replay may need, and the next. */
const rolloutsMax = 8

/**
 * Loads each model once, however many rollouts name it: a session costs memory, and loading again leaks. It closes the
 * models that none of the last {@link rolloutsMax} rollouts names.
 */
export class ModelPool {
  readonly #load: (model: ModelReference) => Promise<Scorer>
  readonly #models = new Map<string, Promise<Scorer>>()
  /** By the models' names; the rollout that was asked for last is last. */
  readonly #rollouts = new Map<string, LoadedRollout>()

  /** `load` proves that a model may score. Errors: `model_refused`. */
  constructor(load: (model: ModelReference) => Promise<Scorer>) {
    this.#load = load
  }

  /** All models of a rollout. Rejects with the error of the first one that could not be loaded. */
  async rollout({ champion, shadows }: Rollout): Promise<LoadedRollout> {
    const key = [champion, ...shadows].map(modelName).join(' ')
    const known = this.#rollouts.get(key)
    const found = known ?? {
      champion: await this.#model(champion),
      shadows: await Promise.all(shadows.map((shadow) => this.#model(shadow))),
    }
    // Two callers at the same time get the same object.
    const rollout = this.#rollouts.get(key) ?? found
    this.#rollouts.delete(key)
    this.#rollouts.set(key, rollout)
    if (known === undefined) await this.#drop()
    return rollout
  }

  async close(): Promise<void> {
    const models = [...this.#models.values()]
    this.#models.clear()
    this.#rollouts.clear()
    await Promise.allSettled(models.map(async (model) => (await model).close()))
  }

  #model(reference: ModelReference): Promise<Scorer> {
    const name = modelName(reference)
    const known = this.#models.get(name)
    if (known !== undefined) return known
    const loading = this.#load(reference)
    this.#models.set(name, loading)
    // The next caller tries again.
    loading.catch(() => {
      if (this.#models.get(name) === loading) this.#models.delete(name)
    })
    return loading
  }

  async #drop(): Promise<void> {
    while (this.#rollouts.size > rolloutsMax) {
      const [oldest] = this.#rollouts.keys()
      this.#rollouts.delete(oldest ?? '')
      const kept = new Set([...this.#rollouts.keys()].flatMap((key) => key.split(' ')))
      for (const [name, model] of this.#models) {
        if (kept.has(name)) continue
        this.#models.delete(name)
        await (await model).close()
      }
    }
  }
}
