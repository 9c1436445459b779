import {
  changed,
  generationSchema,
  modelName,
  type Activation,
  type Generation,
  type Rollout,
  type ModelChange,
  type ModelReference,
  type Refusal,
} from '../../scoring/rollout/generation.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { GenerationStore } from '../../ports/generations.ts'
import type { Clock } from '../../ports/clock.ts'

/** A list shows at most so many generations; a change reads as many. */
const generationsMax = 1_000
/** Attempts of a change: another process may append at the same time; each attempt reads anew. */
const tries = 5

/** A generation, where it took effect, and why a processor refused it. */
export interface GenerationReport {
  /** The type of the events that its models score; generations of each type are numbered from 1 on. */
  readonly scores: string
  readonly generation: number
  readonly champion: string
  readonly shadows: readonly string[]
  readonly reason: string
  readonly time: string
  /** The number of the generation that a rollback restores. */
  readonly restores: number | null
  /** The offset at which it began to score each partition; partitions that it never scored are left out. */
  readonly activations: readonly { readonly partition: number; readonly offset: number }[]
  /** The number of partitions that it scores now. */
  readonly live: number
  /** The reason for which a processor refused it. */
  readonly refusal: { readonly code: string; readonly detail: string; readonly time: string } | null
}

export interface ModelsReport {
  readonly partitions: number
  /** Newest first. */
  readonly generations: readonly GenerationReport[]
}

/** Reads and changes which models score. Errors: `state_unavailable`, and for changes those of {@link changed}. */
export interface ModelAdministration {
  report(limit: number): Promise<ModelsReport>
  /**
   * Appends a generation; processors apply it by themselves. `eventType`: the scored type; null if the model's service
   * gives it, or if there is only one. Errors: also `generations_contended` (canRetry), `scored_type_unknown`.
   */
  change(change: ModelChange, reason: string, eventType: string | null): Promise<GenerationReport>
}

export interface ModelAdministrationOptions {
  /** By event type of the scored events. */
  readonly stores: ReadonlyMap<string, GenerationStore>
  /** The type that a model scores; null if this process does not know it. */
  readonly typeOf: (model: ModelReference) => Promise<string | null>
  readonly topic: string
  readonly partitions: number
  readonly clock: Clock
}

export function createModelAdministration(options: ModelAdministrationOptions): ModelAdministration {
  const { stores, typeOf, topic, partitions, clock } = options

  async function facts(store: GenerationStore) {
    const numbers = Array.from({ length: partitions }, (_, partition) => partition)
    const [generations, refusals, activations] = await Promise.all([
      store.generations(generationsMax),
      store.refusals(),
      Promise.all(numbers.map((partition) => store.activations(topic, partition, 0))),
    ])
    return { generations, refusals, activations }
  }

  async function append(store: GenerationStore, change: ModelChange, reason: string): Promise<Generation> {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const { generations, refusals, activations } = await facts(store)
      const inEffect = new Set(activations.flat().map(({ generation }) => generation.number))
      const lost = new Set([...refusals.keys()].filter((number) => !inEffect.has(number)))
      const result = changed(generations, lost, change)
      if (result.kind === 'refused') throw new RiverbankError(result.code, result.detail)
      const generation = generationSchema.parse({
        number: (generations.at(-1)?.number ?? 0) + 1,
        ...result.rollout,
        reason: reason === '' ? described(change) : reason,
        timeMs: clock.nowMs(),
        ...(result.restores === null ? {} : { restores: result.restores }),
      })
      if (await store.append(generation)) return generation
    }
    throw new RiverbankError('generations_contended', `others changed the models meanwhile, ${tries} times`, {
      canRetry: true,
    })
  }

  /** The scored type of a change, and its list of generations. */
  async function listOf(change: ModelChange, asked: string | null): Promise<[string, GenerationStore]> {
    const [only] = stores.keys()
    const own = asked ?? (stores.size === 1 ? (only ?? null) : change.kind === 'rollback' ? null : await typeOf(change.model))
    const store = own === null ? undefined : stores.get(own)
    if (own === null || store === undefined) {
      const why = own === null ? 'say the models of which events' : `no events of type ${own} are scored`
      throw new RiverbankError('scored_type_unknown', `${why}: ${[...stores.keys()].join(', ')}`)
    }
    return [own, store]
  }

  return {
    async report(limit) {
      const lists = await Promise.all(
        [...stores].map(async ([scores, store]) => {
          const { generations, refusals, activations } = await facts(store)
          const newest = generations.slice(-limit)
          return newest.map((one) => ({
            timeMs: one.timeMs,
            report: reportOf(scores, one, activations, refusals.get(one.number)),
          }))
        }),
      )
      const newestFirst = lists.flat().reverse()
      // Within one list the order is the list's, whatever the clocks of the writers said.
      if (lists.length > 1) newestFirst.sort((a, b) => b.timeMs - a.timeMs)
      return { partitions, generations: newestFirst.slice(0, limit).map(({ report }) => report) }
    },
    async change(change, reason, eventType) {
      const [scores, store] = await listOf(change, eventType)
      return reportOf(scores, await append(store, change, reason), [], undefined)
    },
  }
}

function reportOf(
  scores: string,
  generation: Generation,
  activations: readonly (readonly Activation[])[],
  refusal: Refusal | undefined,
): GenerationReport {
  const { number } = generation
  const own = activations.flatMap((list, partition) =>
    list.filter((one) => one.generation.number === number).map(({ offset }) => ({ partition, offset })),
  )
  return {
    scores,
    generation: number,
    ...namesOf(generation),
    reason: generation.reason,
    time: new Date(generation.timeMs).toISOString(),
    restores: generation.restores ?? null,
    activations: own,
    live: activations.filter((list) => list[0]?.generation.number === number).length,
    refusal:
      refusal === undefined
        ? null
        : { code: refusal.code, detail: refusal.detail, time: new Date(refusal.timeMs).toISOString() },
  }
}

function namesOf({ champion, shadows }: Rollout) {
  return { champion: modelName(champion), shadows: shadows.map(modelName) }
}

function described(change: ModelChange): string {
  return change.kind === 'rollback' ? 'rollback' : `${change.kind} ${modelName(change.model)}`
}
