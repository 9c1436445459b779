import type { Activation, Generation, Refusal } from '../scoring/rollout/generation.ts'

/**
 * Which models score: a list of generations that only grows, and for each partition the offset from which on each of
 * them scores. It lives with the positions of a StateStore, and is lost with them. Errors: `state_unavailable`
 * (canRetry).
 */
export interface GenerationStore {
  /** The newest `limit` ones, oldest first. */
  generations(limit: number): Promise<readonly Generation[]>
  /** Appends when its number is the next one; true also when it is there already. False: another process was faster. */
  append(generation: Generation): Promise<boolean>
  /**
   * Activates a generation on a partition at the position that the store knows of it, in one step (G1): the first call
   * decides. Without effect when it or a newer one is active. Answers the partition's newest activation, null when
   * there is no such generation. A processor scores an event after it advanced the position past it, so nothing scored
   * lies at or above the offset; it asks {@link activations} after that (G2), so no older generation scores what lies
   * above.
   */
  activate(topic: string, partition: number, generation: number): Promise<NumberedActivation | null>
  /**
   * The activations for the offsets from `from` on, newest first: an offset belongs to the first one that is not above
   * it. Generation 1 is in effect from the beginning. Empty when there is no generation.
   */
  activations(topic: string, partition: number, from: number): Promise<readonly Activation[]>
  /** Records why a processor refused a generation, for people to see. */
  refuse(generation: number, refusal: Refusal): Promise<void>
  refusals(): Promise<ReadonlyMap<number, Refusal>>
  close(): Promise<void>
}

export interface NumberedActivation {
  readonly generation: number
  readonly offset: number
}
