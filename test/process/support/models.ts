import { expect } from 'vitest'
import type { PaymentScored } from '../../support/payment-scores.ts'
import { modelName, type ModelChange, type ModelReference } from '../../../src/scoring/rollout/generation.ts'
import type { GenerationStore } from '../../../src/ports/generations.ts'
import { ModelRefused } from '../../../src/edges/onnx/refusal.ts'
import { Generations } from '../../../src/process/models/generations.ts'
import type { ProcessMetrics } from '../../../src/process/metrics.ts'
import { ModelPool } from '../../../src/process/models/model-pool.ts'
import { createServingModels, type ServingModels } from '../../../src/process/models/serving.ts'
import { createModelAdministration } from '../../../src/serve/models/model-administration.ts'
import type { GroupHandler } from '../../../src/ports/log.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import { checkInvariants, type OutputEvent, type Findings } from './invariants.ts'
import { clock, quiet, scorer } from './wiring.ts'
import type { World } from './world.ts'

export const model = (version: number): ModelReference => ({ name: 'hash', version: String(version) })

/** The scorer of the wiring, turned: no two versions agree on anything. */
export function versioned(version: string): Scorer {
  const turn = Number(version) / 16
  return {
    ...scorer,
    name: 'hash',
    version,
    score: async (vectors, rows) => (await scorer.score(vectors, rows)).map((score) => (score + turn) % 1),
  }
}

export interface Manners {
  /** Versions that this process cannot load. */
  readonly refused?: ReadonlySet<string>
  /** Versions that score in another way. */
  readonly score?: Readonly<Record<string, Scorer['score']>>
  readonly onLoad?: (version: string) => Promise<void> | void
}

/** The models of one worker, as the role wires them. */
export interface Serving {
  readonly models: ServingModels
  readonly generations: Generations
  readonly metrics: Partial<ProcessMetrics>
  /** What the metrics were told, in order. */
  readonly told: string[]
  readonly handler: (handler: GroupHandler) => GroupHandler
  close(): Promise<void>
}

export async function serve(world: World, manners: Manners = {}): Promise<Serving> {
  const store = await world.openGenerations()
  const told: string[] = []
  const metrics = {
    shadowFailed: (name: string, failure: string, payments: number) => void told.push(`${name} ${failure} ${payments}`),
    unscored: (code: string) => void told.push(code),
    activated: (partition: number, generation: number) => void told.push(`${partition} by ${generation}`),
    generationRefused: (reason: string) => void told.push(`refused ${reason}`),
  }
  const pool = new ModelPool(async ({ version }) => {
    await manners.onLoad?.(version)
    if (manners.refused?.has(version) === true) throw new ModelRefused('hash_mismatch', `${version} is another file`)
    const score = manners.score?.[version]
    return { ...versioned(version), ...(score === undefined ? {} : { score }) }
  })
  const registry = { champion: model(1), shadows: [] }
  const generations = new Generations({ store, pool, registry, everyMs: 20, clock, metrics, logger: quiet })
  await generations.start()
  const ending = new AbortController()
  const following = generations.follow(ending.signal)
  return {
    models: createServingModels({ store, pool, begin: () => generations.begin() }),
    generations,
    metrics,
    told,
    handler: (handler) => generations.around(handler),
    async close() {
      ending.abort()
      await following
      await store.close()
    },
  }
}

/** What an operator does, and what the store knows. */
export class Operator {
  readonly store: GenerationStore
  readonly #world: World

  private constructor(world: World, store: GenerationStore) {
    this.#world = world
    this.store = store
  }

  static async of(world: World): Promise<Operator> {
    return new Operator(world, await world.openGenerations())
  }

  get administration() {
    const { topics, partitions } = this.#world
    return createModelAdministration({
      stores: new Map([['payment.initiated', this.store]]),
      typeOf: async () => null,
      topic: topics.events,
      partitions,
      clock,
    })
  }

  /** Answers the number of the new generation. */
  async do(kind: ModelChange['kind'], version = 0): Promise<number> {
    const change: ModelChange = kind === 'rollback' ? { kind } : { kind, model: model(version) }
    return (await this.administration.change(change, '', null)).generation
  }

  /** Partitions that are scored by this generation now. */
  async live(generation: number): Promise<number> {
    const { generations } = await this.administration.report(1_000)
    return generations.find((one) => one.generation === generation)?.live ?? 0
  }

  /**
   * All invariants, with each score recomputed by the model it names; and I2 for models: each offset was scored by the
   * generation that the store says, shadows included. Answers how many payments each generation scored.
   */
  async check(): Promise<Findings & { readonly byGeneration: ReadonlyMap<number, number> }> {
    const found = await checkInvariants(this.#world, ({ version }) => versioned(version))
    const byGeneration = new Map<number, number>()
    for (const { data, id } of found.scored) {
      const { generation } = await this.#governing(data)
      expect(`${data.model.name}/${data.model.version}`, `${id} at ${data.position.offset}`).toBe(
        modelName(generation.champion),
      )
      expect(Object.keys(data.shadows ?? {}), id).toEqual(generation.shadows.map(modelName))
      byGeneration.set(generation.number, (byGeneration.get(generation.number) ?? 0) + 1)
    }
    return { ...found, byGeneration }
  }

  async #governing({ position }: OutputEvent<PaymentScored>['data']) {
    const { topic, partition, offset } = position
    const [governing] = (await this.store.activations(topic, partition, offset)).filter((one) => one.offset <= offset)
    if (governing === undefined) throw new Error(`${partition}:${offset} belongs to a generation`)
    return governing
  }
}
