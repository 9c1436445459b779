import { isSame, modelName, type Generation, type Rollout } from '../../scoring/rollout/generation.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { GenerationStore } from '../../ports/generations.ts'
import type { PartitionAssignment, GroupHandler } from '../../ports/log.ts'
import type { Scorer } from '../../ports/scorer.ts'
import type { Logger } from '../../ports/telemetry.ts'
import type { ProcessMetrics } from '../metrics.ts'
import type { ModelPool } from './model-pool.ts'
import type { Sleeper } from '../retry.ts'

/** How many of the newest generations are tried: when all are refused, the live models stay live. */
const lookBack = 16

export interface GenerationsOptions {
  readonly store: GenerationStore
  readonly pool: ModelPool
  /** The models in `models/registry.json`: they are generation 1, and no more than that. */
  readonly registry: Rollout
  /** Milliseconds between two looks at the list. */
  readonly everyMs: number
  readonly clock: Sleeper
  readonly metrics: Pick<ProcessMetrics, 'activated' | 'generationRefused'>
  readonly logger: Logger
}

/**
 * Follows the list of generations: loads the newest one that this process can load and activates it on the partitions
 * that this process holds. It delays no batch: the pipeline reads from the store which models score an offset.
 */
export class Generations {
  readonly #options: GenerationsOptions
  readonly #held = new Map<PartitionAssignment, { newest: number }>()
  /** Refused generations as JSON: after the store was emptied, another may get the same number. */
  readonly #refused = new Set<string>()
  #newest: Generation | null = null

  constructor(options: GenerationsOptions) {
    this.#options = options
  }

  /** Makes sure that there is a list, and that something in it can be loaded. Errors: `model_refused`. */
  async start(): Promise<void> {
    const { store, registry, logger } = this.#options
    const isNew = (await store.generations(1)).length === 0
    if (isNew) await this.begin()
    const newest = await this.#loadNewest()
    if (newest === null) {
      throw new RiverbankError('model_refused', `none of the newest ${lookBack} generations can be loaded`)
    }
    if (!isSame(newest.champion, registry.champion)) {
      logger.info('models/registry.json names another champion: it only counts where no list of generations is', {
        generation: newest.number,
        champion: modelName(newest.champion),
        registry: modelName(registry.champion),
      })
    }
  }

  /** Begins the list with the models that are live here, else with the registry's, which must be loadable. */
  async begin(): Promise<void> {
    const { store, pool, registry, clock, logger } = this.#options
    const { champion, shadows } = this.#newest ?? registry
    await pool.rollout({ champion, shadows })
    const reason = this.#newest === null ? 'models/registry.json' : 'the list was lost: what was live goes on'
    const isFirst = await store.append({ number: 1, champion, shadows, reason, timeMs: clock.nowMs() })
    if (isFirst) logger.info('the list of generations begins', { champion: modelName(champion), reason })
  }

  /** Wraps a handler, to follow which partitions this member holds. */
  around(handler: GroupHandler): GroupHandler {
    return {
      assigned: async (assignment) => {
        const from = await handler.assigned(assignment)
        this.#held.set(assignment, { newest: 0 })
        return from
      },
      batch: (assignment, batch) => handler.batch(assignment, batch),
      released: async (assignment) => {
        this.#held.delete(assignment)
        await handler.released?.(assignment)
      },
    }
  }

  /** Looks at the list until the signal is aborted. It repeats a failed look the next time. */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock, everyMs, logger } = this.#options
    while (!signal.aborted) {
      try {
        await this.look()
      } catch (error) {
        logger.warn('looking for new models failed, trying again', { error })
      }
      await clock.sleep(everyMs, signal)
    }
  }

  /** Looks at the list once: loads the newest generation, then activates it. */
  async look(): Promise<void> {
    const newest = await this.#loadNewest()
    if (newest === null) return
    await Promise.all([...this.#held].map(([assignment, held]) => this.#activate(assignment, held, newest)))
  }

  async #loadNewest(): Promise<Generation | null> {
    const { store, pool } = this.#options
    const found = await store.generations(lookBack)
    for (const generation of found.toReversed()) {
      if (this.#refused.has(JSON.stringify(generation))) continue
      try {
        const { champion } = await pool.rollout(generation)
        if (this.#newest?.number !== generation.number) this.#tellOfReasons(champion)
        this.#newest = generation
        return generation
      } catch (error) {
        if (!isRiverbankError(error, 'model_refused')) throw error
        await this.#refuse(generation, error)
      }
    }
    return null
  }

  #tellOfReasons({ name, version, explanations }: Scorer): void {
    if (explanations?.kind !== 'unavailable') return
    const { code, reason } = explanations
    const fields = { champion: modelName({ name, version }), code, reason }
    this.#options.logger.warn('the champion cannot say why: its decisions come without reasons', fields)
  }

  async #refuse(generation: Generation, { code, message }: RiverbankError): Promise<void> {
    const { store, clock, metrics, logger } = this.#options
    const models = [generation.champion, ...generation.shadows].map(modelName)
    logger.error('a generation of models is refused; what is live stays live', {
      generation: generation.number,
      models,
      reason: message,
    })
    await store.refuse(generation.number, { code, detail: message, timeMs: clock.nowMs() })
    this.#refused.add(JSON.stringify(generation))
    metrics.generationRefused(message.split(':', 1)[0] ?? code)
  }

  /** Activates at every look: that costs a small script, and heals what a store has lost. */
  async #activate(assignment: PartitionAssignment, held: { newest: number }, { number, champion }: Generation): Promise<void> {
    const { store, metrics, logger } = this.#options
    const { topic, partition } = assignment
    const active = await store.activate(topic, partition, number)
    if (active === null || active.generation === held.newest) return
    held.newest = active.generation
    metrics.activated(partition, active.generation)
    if (active.generation !== number) return
    const fields = { generation: number, champion: modelName(champion), partition, offset: active.offset }
    logger.info('a generation of models is in effect', fields)
  }
}
