import { StateDecoder, layoutOf, type EntityState } from '../../engine/states.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { EntityPlan, FeaturePlan } from '../../engine/plan.ts'
import type { Clock } from '../../ports/clock.ts'
import { stateMetadata, type StateStore } from '../../ports/states.ts'
import type { Logger } from '../../ports/telemetry.ts'

export interface StateMigrationOptions {
  readonly store: StateStore
  readonly plan: FeaturePlan
  /** The group's committed positions now, as the log knows them. */
  readonly committed: (topic: string) => Promise<ReadonlyMap<number, number>>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Lets a processor go on with the states of another feature set. A migrated state loses its stored responses, so the
 * processor migrates only what was committed: it compares the positions when an assignment begins, and the stored
 * responses of each state that it reads (states are written before the position, so a crash leaves states ahead of it).
 */
export class StateMigration {
  private readonly options: StateMigrationOptions
  private readonly decoder: StateDecoder
  private committed: ReadonlyMap<number, number> = new Map()

  constructor(options: StateMigrationOptions) {
    this.options = options
    this.decoder = new StateDecoder(() => options.store.layouts())
  }

  /**
   * Call it before the first batch of an assignment. Errors: `states_undrained`, `state_rebuilding`, `state_contended`
   * (canRetry), `state_unavailable`.
   */
  async takeOver(topic: string): Promise<void> {
    const { store, plan, logger } = this.options
    await this.checkWhole()
    await store.keepLayouts(layoutsOf(plan))
    const owner = await store.metadata(stateMetadata.featureSet)
    if (owner === plan.featureSetHash) return
    if (owner !== null) {
      await this.checkDrained(topic, owner)
      logger.warn('the states are those of another feature set; they migrate when they are read', { owner })
    }
    if (await store.replaceMetadata(stateMetadata.featureSet, owner, plan.featureSetHash)) return
    throw new RiverbankError('state_contended', 'another processor takes over the states', { canRetry: true })
  }

  /** A store that is being rebuilt looks whole long before it is. Errors: `state_rebuilding`. */
  async checkWhole(): Promise<void> {
    if ((await this.options.store.metadata(stateMetadata.rebuild)) === null) return
    const reason = 'the states are being rebuilt: start again when riverbank rebuild has finished'
    throw new RiverbankError('state_rebuilding', reason)
  }

  /**
   * States in the order of the blobs, migrated where another feature set wrote them. Errors: `states_undrained`,
   * `states_taken_over`, and those of decoding.
   */
  async decode(
    plan: EntityPlan,
    blobs: readonly (Uint8Array | null)[],
    topic: string,
  ): Promise<readonly (EntityState | null)[]> {
    const foreign = await this.decoder.foreign(plan, blobs)
    if (foreign.length > 0) {
      await this.checkOwner()
      for (const blob of foreign) await this.checkCommitted(topic, this.decoder.decodeForeign(plan, blob).state)
    }
    const nowMs = this.options.clock.nowMs()
    return blobs.map((blob) => (blob === null ? null : this.decoder.decode(plan, blob, nowMs)))
  }

  /** A processor of the former feature set must not turn the states back. */
  private async checkOwner(): Promise<void> {
    const { store, plan } = this.options
    const owner = await store.metadata(stateMetadata.featureSet)
    if (owner === null || owner === plan.featureSetHash) return
    const reason = `a processor of feature set ${owner.slice(0, 12)} has taken over the states: stop this one`
    throw new RiverbankError('states_taken_over', reason)
  }

  private async checkDrained(topic: string, owner: string): Promise<void> {
    const [positions, committed] = [await this.options.store.positions(topic), await this.options.committed(topic)]
    for (const [partition, applied] of positions) {
      if (applied > (committed.get(partition) ?? 0)) {
        const what = `${topic}/${partition} is applied up to ${applied} and committed up to ${committed.get(partition) ?? 0}`
        throw undrained(what, owner.slice(0, 12))
      }
    }
  }

  private async checkCommitted(topic: string, { partitions }: EntityState): Promise<void> {
    for (const { partition, responses } of partitions) {
      const newest = responses.at(-1)?.offset ?? -1
      if (newest < (this.committed.get(partition) ?? 0)) continue
      this.committed = await this.options.committed(topic)
      if (newest < (this.committed.get(partition) ?? 0)) continue
      throw undrained(`${topic}/${partition}: the event at ${newest} is applied and not committed`, 'before')
    }
  }
}

function undrained(what: string, owner: string): RiverbankError {
  const advice = `run the version with feature set ${owner} until it has drained, then this one`
  return new RiverbankError('states_undrained', `${what}, under another feature set: ${advice}`)
}

/** The text of each entity's layout, by its number. */
export function layoutsOf({ entities }: FeaturePlan): Map<number, string> {
  return new Map(entities.map((entity) => [entity.layout, JSON.stringify(layoutOf(entity))]))
}
