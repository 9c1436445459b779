import { encodeState, stateVersion, layoutOf } from '../../engine/states.ts'
import { z } from 'zod'
import { LakeHistory, type HistoryOptions, type Reach } from './history.ts'
import { IncarnationBuilder, type RebuiltState } from './incarnation.ts'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { EntityPlan } from '../../engine/plan.ts'
import type { Clock } from '../../ports/clock.ts'
import { stateMetadata, type StateStore, type StateWrite } from '../../ports/states.ts'

export interface RebuildOptions extends HistoryOptions {
  readonly store: StateStore
  /** Rows of one entity that are sorted at once: bounds what the database needs. */
  readonly rowsPerChunk: number
  readonly clock: Clock
  /** Reads the group's committed positions now: `committed` was read before the lake. */
  readonly committedNow?: () => Promise<ReadonlyMap<number, number>>
  /** Where the log begins, by partition: the position of a partition without history. */
  readonly starts?: ReadonlyMap<number, number>
  readonly onProgress?: (progress: RebuildProgress) => void
}

export interface RebuildProgress {
  readonly entity: string
  readonly chunk: number
  readonly chunks: number
  readonly states: number
}

export interface RebuildResult {
  readonly states: number
  /** Events that the states were computed from, by entity. */
  readonly rows: Readonly<Record<string, number>>
  /** Continued what an earlier run had begun. */
  readonly resumed: boolean
}

/** A rebuild that has not finished, as the store remembers it. */
const progressSchema = z.object({
  featureSet: z.string(),
  /** Fixed by the first run: a later one must compute the very same states. */
  reach: z.array(z.object({ partition: z.number(), committed: z.number(), next: z.number() })),
  /** By entity, in the order of the plan: its rows, its chunks, and how many of them are finished. */
  entities: z.array(z.object({ name: z.string(), rows: z.number(), chunks: z.number(), done: z.number() })),
})
type Progress = z.infer<typeof progressSchema>

/** States written by one call. */
const writesAtOnce = 500
/** Tries to overwrite one state: a batch that was under way at the loss writes it once at most. */
const overwriteRoundsMax = 5

/**
 * Fills an empty online store from the lake: the last incarnation of each entity, observation by observation, with the
 * processors' engine; positions last. The lake holds all that the score topic held. While it runs, store metadata makes
 * every processor wait. Without positions no processor can finish a batch (R6), so processors may run meanwhile; the
 * rebuild overwrites what one of them began to write after the loss. Errors: `states_not_empty`, `states_undrained`,
 * `rebuild_other`, `rebuild_contended`, `lake_behind` (canRetry), `lake_incomplete`, and those of store and lake.
 */
export async function rebuildStates(options: RebuildOptions): Promise<RebuildResult> {
  const { store, plan } = options
  const history = await LakeHistory.open(options)
  const { progress, resumed } = await begin(options, history)
  await history.limit(progress.reach)
  await store.keepLayouts(new Map(plan.entities.map((entity) => [entity.layout, JSON.stringify(layoutOf(entity))])))
  const metadata = new ProgressMetadata(store, progress)
  let states = 0
  for (const [i, own] of progress.entities.entries()) {
    const entity = plan.entities[i]
    assert(entity?.name === own.name, 'a feature set has its entities in one order')
    const { chunks } = own
    for (let chunk = own.done; chunk < chunks; chunk += 1) {
      states += await rebuildChunk(options, history, entity, { chunk, chunks }, progress.reach)
      own.done = chunk + 1
      await metadata.write()
      options.onProgress?.({ entity: entity.name, chunk: chunk + 1, chunks, states })
    }
  }
  const nexts = new Map([
    ...(options.starts ?? []),
    ...progress.reach.map(({ partition, next }) => [partition, next] as const),
  ])
  for (const [partition, next] of nexts) await store.advance(options.topics.events, partition, next)
  const owner = await store.metadata(stateMetadata.featureSet)
  await store.replaceMetadata(stateMetadata.featureSet, owner, plan.featureSetHash)
  await metadata.remove()
  const rows = Object.fromEntries(progress.entities.map((one) => [one.name, one.rows]))
  return { states, rows, resumed }
}

async function begin(
  { store, plan, topics, rowsPerChunk, committed, committedNow }: RebuildOptions,
  history: LakeHistory,
): Promise<{ progress: Progress; resumed: boolean }> {
  const known = await store.metadata(stateMetadata.rebuild)
  if (known !== null) {
    const progress = progressSchema.parse(JSON.parse(known))
    if (progress.featureSet === plan.featureSetHash) return { progress, resumed: true }
    const other = progress.featureSet.slice(0, 12)
    const reason = `a rebuild with feature set ${other} has not finished: continue it with that version, or empty the states`
    throw new RiverbankError('rebuild_other', reason)
  }
  const reach: Reach[] = [...(await history.reach())]
  const foreign = await history.foreign(reach)
  if (foreign > 0) {
    const reason = `${foreign} answers of another feature set are not committed: rebuild with the version that gave them`
    throw new RiverbankError('states_undrained', reason)
  }
  const entities: Progress['entities'] = []
  for (const entity of plan.entities) {
    const rows = await history.rows(entity)
    entities.push({ name: entity.name, rows, chunks: Math.max(1, Math.ceil(rows / rowsPerChunk)), done: 0 })
  }
  const progress: Progress = { featureSet: plan.featureSetHash, reach, entities }
  const text = JSON.stringify(progress)
  if (!(await store.replaceMetadata(stateMetadata.rebuild, null, text))) throw contended()
  // Only now: a starting processor writes its position first, and reads the metadata then.
  const isEmpty = (await store.positions(topics.events)).size === 0
  const isSame = sameOffsets(committed, (await committedNow?.()) ?? committed)
  if (isEmpty && isSame) return { progress, resumed: false }
  await store.replaceMetadata(stateMetadata.rebuild, text, null)
  if (!isEmpty) throw notEmpty('the store knows positions')
  const reason = 'a batch that was under way was committed after the lake was read'
  throw new RiverbankError('lake_behind', reason, { canRetry: true })
}

function sameOffsets(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([partition, next]) => b.get(partition) === next)
}

function contended(): RiverbankError {
  return new RiverbankError('rebuild_contended', 'another rebuild of these states is running')
}

function notEmpty(what: string): RiverbankError {
  const reason = `${what}: stop the processors, empty the states, and rebuild then`
  return new RiverbankError('states_not_empty', reason)
}

/** The progress in the store; a rebuild that finds another's progress there is not alone. */
class ProgressMetadata {
  private readonly store: StateStore
  private readonly progress: Progress
  private text: string

  constructor(store: StateStore, progress: Progress) {
    this.store = store
    this.progress = progress
    this.text = JSON.stringify(progress)
  }

  async write(): Promise<void> {
    const text = JSON.stringify(this.progress)
    if (!(await this.store.replaceMetadata(stateMetadata.rebuild, this.text, text))) throw contended()
    this.text = text
  }

  async remove(): Promise<void> {
    if (!(await this.store.replaceMetadata(stateMetadata.rebuild, this.text, null))) throw contended()
  }
}

/** Rebuilds one share of an entity's states; answers how many it wrote. */
async function rebuildChunk(
  options: RebuildOptions,
  history: LakeHistory,
  entity: EntityPlan,
  share: { readonly chunk: number; readonly chunks: number },
  reach: readonly Reach[],
): Promise<number> {
  const committed = new Map(reach.map((one) => [one.partition, one.committed]))
  let incarnation: IncarnationBuilder | null = null
  let ready: RebuiltState[] = []
  let written = 0
  let writing: Promise<number> = Promise.resolve(0)
  const finish = () => {
    const state = incarnation?.finish() ?? null
    if (state !== null) ready.push(state)
  }
  // The server writes while this computes the next states: one call under way at a time.
  const flush = async () => {
    written += await writing
    writing = writeStates(options, entity, ready)
    writing.catch(() => undefined)
    ready = []
  }
  await history.each(entity, share, async (rows) => {
    for (const row of rows) {
      if (incarnation?.id !== row.id) {
        finish()
        incarnation = new IncarnationBuilder(entity, row.id, committed)
      }
      incarnation.add(row)
    }
    if (ready.length >= writesAtOnce) await flush()
  })
  finish()
  await flush()
  return written + (await writing)
}

async function writeStates(
  { store, clock }: RebuildOptions,
  entity: EntityPlan,
  states: readonly RebuiltState[],
): Promise<number> {
  const nowMs = clock.nowMs()
  const writes: StateWrite[] = []
  for (const { id, state, appendTimeMs } of states) {
    // In the lost store it would have expired.
    const ttlMs = Math.floor(entity.ttlMs - Math.max(0, nowMs - appendTimeMs))
    if (ttlMs <= 0) continue
    writes.push({ key: { entity: entity.name, id }, expected: null, blob: encodeState(entity, state), ttlMs })
  }
  if (writes.length === 0) return 0
  const won = await store.compareAndSet(writes)
  assert(won.length === writes.length, 'one answer for each write')
  await overwrite(
    store,
    writes.filter((_, i) => won[i] !== true),
  )
  return writes.length
}

/**
 * Overwrites states that remained when only positions or one cluster node were lost, or that a batch under way wrote.
 */
async function overwrite(store: StateStore, writes: readonly StateWrite[]): Promise<void> {
  let pending = writes
  for (let round = 0; round < overwriteRoundsMax && pending.length > 0; round += 1) {
    const found = await store.load(pending.map(({ key }) => key))
    const again = pending.map((write, i) => ({ ...write, expected: versionIn(found[i] ?? null) }))
    const won = await store.compareAndSet(again)
    pending = pending.filter((_, i) => won[i] !== true)
  }
  const [lost] = pending
  if (lost !== undefined) throw notEmpty(`somebody writes the state of ${lost.key.entity} ${lost.key.id}`)
}

function versionIn(blob: Uint8Array | null): Uint8Array | null {
  return blob === null ? null : stateVersion(blob)
}
