import { z } from 'zod'
import {
  fillMissingHistory,
  missingHistoryNumbers,
  slotsOf,
  type Earlier,
  type WantedSlots,
  encodeState,
  layoutIn,
  stateVersion,
  type EntityState,
} from '../../engine/states.ts'
import { MissingHistoryReader } from './missing-history.ts'
import { LakeHistory, type Asked, type HistoryOptions, type Share } from './history.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { EntityPlan } from '../../engine/plan.ts'
import { hourMs } from '../../base/units.ts'
import type { Clock } from '../../ports/clock.ts'
import { stateMetadata, type StateStore, type StateWrite } from '../../ports/states.ts'

export interface BackfillOptions extends HistoryOptions {
  readonly store: StateStore
  readonly view: string
  /** States in the order of the blobs, migrated where another feature set wrote them. */
  readonly decode: (plan: EntityPlan, blobs: readonly (Uint8Array | null)[]) => Promise<readonly (EntityState | null)[]>
  readonly rowsPerChunk: number
  readonly clock: Clock
  readonly onProgress?: (progress: BackfillProgress) => void
}

export interface BackfillProgress {
  readonly chunk: number
  readonly chunks: number
  /** States whose history this filled. */
  readonly filled: number
}

export interface BackfillResult {
  readonly entity: string
  /** States of another feature set that this migrated. */
  readonly migrated: number
  readonly filled: number
  /** States whose history is not in the lake from its beginning: their features stay incomplete. */
  readonly left: number
}

/** What {@link Asked} carries here: the sequence numbers below which history is missing. */
const numbersSchema = z.array(z.number())

/** Compare-and-sets that one state may lose: a processor writes a hot one all the time. */
const roundsMax = 100

/**
 * Fills a view's missing history from the lake while processors run: it migrates each state that lacks history, runs
 * the earlier rows through the engine, and merges the result into the state by compare-and-set. When it begins, the
 * lake must hold all that was published: the missing history was published before this feature set's processors took
 * over. A second run finds no missing history; after an interruption it finds the rest. Errors: `view_unknown`,
 * `states_not_taken_over`, `state_contended` (canRetry), and those of store and lake.
 */
export async function backfillView(options: BackfillOptions): Promise<BackfillResult> {
  const { store, plan, schema, view } = options
  const features = new Set(schema.manifest.features.filter((feature) => feature.view === view).map(({ name }) => name))
  const entity = plan.entities.find((one) => one.features.some(({ name }) => features.has(name)))
  if (entity === undefined) throw new RiverbankError('view_unknown', `no view ${view} is in the feature set`)
  if ((await store.metadata(stateMetadata.featureSet)) !== plan.featureSetHash) {
    const reason = 'the states belong to another feature set: start the processors of this version first'
    throw new RiverbankError('states_not_taken_over', reason)
  }
  const history = await LakeHistory.open({ ...options, isLive: true })
  await history.limit(await history.reach())
  const wanted = slotsOf(entity, (name) => features.has(name))
  const backfill = new Backfill(options, history, entity, wanted)
  const chunks = Math.max(1, Math.ceil((await history.rows(entity)) / options.rowsPerChunk))
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    await backfill.run({ chunk, chunks })
    options.onProgress?.({ chunk: chunk + 1, chunks, filled: backfill.filled })
  }
  const { migrated, filled, left } = backfill
  return { entity: entity.name, migrated, filled, left }
}

interface Found {
  readonly id: string
  readonly blob: Uint8Array
  readonly state: EntityState
}

class Backfill {
  migrated = 0
  filled = 0
  left = 0
  private readonly options: BackfillOptions
  private readonly history: LakeHistory
  private readonly entity: EntityPlan
  private readonly wanted: WantedSlots
  /** By id of the current share: when the log took the newest event. */
  private readonly appended = new Map<string, number>()

  constructor(options: BackfillOptions, history: LakeHistory, entity: EntityPlan, wanted: WantedSlots) {
    this.options = options
    this.history = history
    this.entity = entity
    this.wanted = wanted
  }

  async run(share: Share): Promise<void> {
    this.appended.clear()
    const asked: Asked[] = []
    await this.history.ids(this.entity, share, async (ids) => {
      for (const { id, appendTimeMs } of ids) this.appended.set(id, appendTimeMs)
      asked.push(...(await this.missingHistoryOf(ids.map(({ id }) => id))))
    })
    if (asked.length === 0) return
    await this.history.ask(asked)
    const told = new Set<string>()
    let current: MissingHistoryReader | null = null
    const finish = async () => {
      if (current === null) return
      told.add(current.id)
      await this.fill(current.id, current.finish())
    }
    await this.history.each(this.entity, { ...share, asked: true }, async (rows) => {
      for (const row of rows) {
        if (current?.id !== row.id) {
          await finish()
          current = new MissingHistoryReader(this.entity, row.id, numbersSchema.parse(JSON.parse(row.asked)))
        }
        current.add(row)
      }
    })
    await finish()
    this.left += asked.filter(({ id }) => !told.has(id)).length
  }

  /** Migrates what another feature set wrote; answers the missing history. */
  private async missingHistoryOf(ids: readonly string[]): Promise<Asked[]> {
    const asked: Asked[] = []
    let pending = ids
    for (let round = 0; pending.length > 0; round += 1) {
      if (round === roundsMax) throw contended()
      const lost: string[] = []
      const found = await this.load(pending)
      const foreign = found.filter(({ blob }) => layoutIn(blob) !== this.entity.layout)
      const won = await this.options.store.compareAndSet(
        foreign.map(({ id, blob, state }) => this.write(id, blob, state)),
      )
      for (const [i, { id }] of foreign.entries()) {
        if (won[i] === true) this.migrated += 1
        else lost.push(id)
      }
      for (const { id, state } of found) {
        const numbers = lost.includes(id) ? [] : missingHistoryNumbers(state, this.wanted)
        const below = numbers.at(-1)
        if (below !== undefined) asked.push({ id, below, text: JSON.stringify(numbers) })
      }
      pending = lost
    }
    return asked
  }

  private async fill(id: string, earlier: ReadonlyMap<number, Earlier>): Promise<void> {
    for (let round = 0; round < roundsMax; round += 1) {
      const [found] = await this.load([id])
      // The state has expired, or forgotten the range of the missing history.
      if (found === undefined || missingHistoryNumbers(found.state, this.wanted).length === 0) return
      const state = fillMissingHistory(this.entity, found.state, this.wanted, (since) => earlier.get(since) ?? null)
      const isWhole = missingHistoryNumbers(state, this.wanted).length === 0
      const [won] = await this.options.store.compareAndSet([this.write(id, found.blob, state)])
      if (won !== true) continue
      if (isWhole) this.filled += 1
      else this.left += 1
      return
    }
    throw contended()
  }

  private async load(ids: readonly string[]): Promise<Found[]> {
    const blobs = await this.options.store.load(ids.map((id) => ({ entity: this.entity.name, id })))
    const states = await this.options.decode(this.entity, blobs)
    return ids.flatMap((id, i) => {
      const [blob = null, state = null] = [blobs[i], states[i]]
      return blob === null || state === null ? [] : [{ id, blob, state }]
    })
  }

  /** The newest event sets the state's expiry; a backfill does not prolong it. */
  private write(id: string, before: Uint8Array, state: EntityState): StateWrite {
    const age = Math.max(0, this.options.clock.nowMs() - (this.appended.get(id) ?? 0))
    return {
      key: { entity: this.entity.name, id },
      expected: stateVersion(before),
      blob: encodeState(this.entity, state),
      ttlMs: Math.max(hourMs, Math.floor(this.entity.ttlMs - age)),
    }
  }
}

function contended(): RiverbankError {
  const reason = `a state lost ${roundsMax} writes in a row to the processors`
  return new RiverbankError('state_contended', reason, { canRetry: true })
}
