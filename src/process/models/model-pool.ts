import type { Rollout, ModelReference } from '../../scoring/rollout/generation.ts'
import { modelName } from '../../scoring/rollout/generation.ts'
import type { Scorer } from '../../ports/scorer.ts'
import type { LoadedRollout } from './serving.ts'

/** Generations whose models stay loaded: what is live, what a replay may need, and what is about to be. */
const rolloutsMax = 8

/**
 * Loaded models, each once, however many generations have it: a session costs memory, and loading anew leaks. Models
 * that none of the last {@link rolloutsMax} generations asked for has are closed.
 */
export class ModelPool {
  readonly #load: (model: ModelReference) => Promise<Scorer>
  readonly #models = new Map<string, Promise<Scorer>>()
  /** By the names in it; the one that was asked for last is last. */
  readonly #lineups = new Map<string, LoadedRollout>()

  /** `load` proves that a model may score. Errors: `model_refused`. */
  constructor(load: (model: ModelReference) => Promise<Scorer>) {
    this.#load = load
  }

  /** All models of a generation. Rejects with what was wrong with the first that could not be loaded. */
  async rollout({ champion, shadows }: Rollout): Promise<LoadedRollout> {
    const key = [champion, ...shadows].map(modelName).join(' ')
    const known = this.#lineups.get(key)
    const found = known ?? {
      champion: await this.#model(champion),
      shadows: await Promise.all(shadows.map((shadow) => this.#model(shadow))),
    }
    // Two that asked at the same time get the same.
    const rollout = this.#lineups.get(key) ?? found
    this.#lineups.delete(key)
    this.#lineups.set(key, rollout)
    if (known === undefined) await this.#drop()
    return rollout
  }

  async close(): Promise<void> {
    const models = [...this.#models.values()]
    this.#models.clear()
    this.#lineups.clear()
    await Promise.allSettled(models.map(async (model) => (await model).close()))
  }

  #model(reference: ModelReference): Promise<Scorer> {
    const name = modelName(reference)
    const known = this.#models.get(name)
    if (known !== undefined) return known
    const loading = this.#load(reference)
    this.#models.set(name, loading)
    // What failed is tried again by whoever asks next.
    loading.catch(() => {
      if (this.#models.get(name) === loading) this.#models.delete(name)
    })
    return loading
  }

  async #drop(): Promise<void> {
    while (this.#lineups.size > rolloutsMax) {
      const [oldest] = this.#lineups.keys()
      this.#lineups.delete(oldest ?? '')
      const kept = new Set([...this.#lineups.keys()].flatMap((key) => key.split(' ')))
      for (const [name, model] of this.#models) {
        if (kept.has(name)) continue
        this.#models.delete(name)
        await (await model).close()
      }
    }
  }
}
