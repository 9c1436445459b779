import type { Activation, Generation, Refusal } from '../scoring/rollout/generation.ts'

/**
 * Which models score: a list of generations that only grows, and for each partition from where on each of them does. It
 * lives with the positions of a StateStore, and is lost with them. Errors: `state_unavailable` (canRetry).
 */
export interface GenerationStore {
  /** The newest `limit` ones, oldest first. */
  generations(limit: number): Promise<readonly Generation[]>
  /** Appends when its number is the next one; true also when it is there already. False: somebody else was faster. */
  append(generation: Generation): Promise<boolean>
  /**
   * A generation takes effect on a partition at the position that the store knows of it, in one step: the first call
   * decides. Without effect when it or a newer one did before. Answers the partition's newest activation, null when
   * there is no such generation. Because nothing is scored before the position was advanced past it, nothing that
   * anybody has scored lies at or above the offset; because {@link activations} is asked after that, nobody scores what
   * lies above it with an older generation.
   */
  activate(topic: string, partition: number, generation: number): Promise<NumberedActivation | null>
  /**
   * What governs the offsets from `from` on, newest first: an offset belongs to the first one that is not above it.
   * Generation 1 is in effect from the beginning. Empty when there is no generation.
   */
  activations(topic: string, partition: number, from: number): Promise<readonly Activation[]>
  /** Notes why a generation was not taken, for people to see. */
  refuse(generation: number, refusal: Refusal): Promise<void>
  refusals(): Promise<ReadonlyMap<number, Refusal>>
  close(): Promise<void>
}

export interface NumberedActivation {
  readonly generation: number
  readonly offset: number
}
