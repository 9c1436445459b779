import {
  changed,
  generationSchema,
  modelName,
  type Activation,
  type Generation,
  type Lineup,
  type ModelChange,
  type Refusal,
} from '../../scoring/rollout/generation.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { GenerationStore } from '../../ports/generations.ts'
import type { Clock } from '../../ports/clock.ts'

/** Generations that a list shows, and that changes are made from. */
const generationsMax = 1_000
/** Others may append at the same time; each try reads anew. */
const tries = 5

/** A generation, and what became of it. */
export interface GenerationReport {
  readonly generation: number
  readonly champion: string
  readonly shadows: readonly string[]
  readonly reason: string
  readonly time: string
  /** Of a rollback. */
  readonly restores: number | null
  /** From where on it scores or scored, by partition; those that it never took effect on are left out. */
  readonly activations: readonly { readonly partition: number; readonly offset: number }[]
  /** Partitions that it scores now. */
  readonly live: number
  /** Why a processor did not take it. */
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
  /** Appends a generation; processors take it by themselves. Errors: also `generations_contended` (canRetry). */
  change(change: ModelChange, reason: string): Promise<Generation>
}

export interface ModelAdministrationOptions {
  readonly store: GenerationStore
  readonly topic: string
  readonly partitions: number
  readonly clock: Clock
}

export function createModelAdministration(options: ModelAdministrationOptions): ModelAdministration {
  const { store, topic, partitions, clock } = options

  async function facts() {
    const numbers = Array.from({ length: partitions }, (_, partition) => partition)
    const [generations, refusals, activations] = await Promise.all([
      store.generations(generationsMax),
      store.refusals(),
      Promise.all(numbers.map((partition) => store.activations(topic, partition, 0))),
    ])
    return { generations, refusals, activations }
  }

  return {
    async report(limit) {
      const { generations, refusals, activations } = await facts()
      const newest = generations.slice(-limit).toReversed()
      return {
        partitions,
        generations: newest.map((generation) => reportOf(generation, activations, refusals.get(generation.number))),
      }
    },
    async change(change, reason) {
      for (let attempt = 0; attempt < tries; attempt += 1) {
        const { generations, refusals, activations } = await facts()
        const inEffect = new Set(activations.flat().map(({ generation }) => generation.number))
        const lost = new Set([...refusals.keys()].filter((number) => !inEffect.has(number)))
        const result = changed(generations, lost, change)
        if (result.kind === 'refused') throw new RiverbankError(result.code, result.detail)
        const generation = generationSchema.parse({
          number: (generations.at(-1)?.number ?? 0) + 1,
          ...result.lineup,
          reason: reason === '' ? described(change) : reason,
          timeMs: clock.nowMs(),
          ...(result.restores === null ? {} : { restores: result.restores }),
        })
        if (await store.append(generation)) return generation
      }
      throw new RiverbankError('generations_contended', `others changed the models meanwhile, ${tries} times`, {
        canRetry: true,
      })
    },
  }
}

function reportOf(
  generation: Generation,
  activations: readonly (readonly Activation[])[],
  refusal: Refusal | undefined,
): GenerationReport {
  const { number } = generation
  const own = activations.flatMap((list, partition) =>
    list.filter((one) => one.generation.number === number).map(({ offset }) => ({ partition, offset })),
  )
  return {
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

export function namesOf({ champion, shadows }: Lineup) {
  return { champion: modelName(champion), shadows: shadows.map(modelName) }
}

function described(change: ModelChange): string {
  return change.kind === 'rollback' ? 'rollback' : `${change.kind} ${modelName(change.model)}`
}
