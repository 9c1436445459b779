import type { Identity } from '../scores/identity-index.ts'
import type { KnownEvents } from '../http/dependencies.ts'
import type { EntityFeatures, FeatureReader } from './feature-reader.ts'
import { assert, RiverbankError } from '../../base/errors.ts'
import { compileExpression, eventFieldsOf, featuresOf, timeField } from '../../engine/expression.ts'
import { readFeatures } from '../../engine/observe.ts'
import type { FeaturePlan } from '../../engine/plan.ts'
import { knowsEvent, layoutIn, StateDecoder } from '../../engine/states.ts'
import type { StatesStatus } from '../../engine/states-status.ts'
import type { Clock } from '../../ports/clock.ts'
import type { EntityKey, StateStore } from '../../ports/states.ts'

type States = Pick<StateStore, 'load' | 'layouts'>

/** The newest {@link StatesStatus} of the states, and one that still holds after the call. */
export interface StatesWatch {
  statesStatus(): StatesStatus
  confirm(): Promise<StatesStatus>
}

/**
 * Reads features at request time from the states' tiles: a silent entity's windows empty by themselves. It migrates
 * states of another feature set for the answer only, and does not write them. It answers an entity without a state only
 * after a check that the states are whole: in a store that was emptied no entity has one.
 */
export function createFeatureReader(
  store: States,
  plan: FeaturePlan,
  clock: Clock,
  states?: StatesWatch,
): FeatureReader {
  const { values: all } = plan
  const entities = new Map(plan.entities.map((entity) => [entity.name, entity]))
  const indexOf = new Map(all.names.map((name, index) => [name, index]))
  // The values of the entities stand one after the other.
  const firstOf = new Map<string, number>()
  let first = 0
  for (const [i, { name }] of plan.entities.entries()) {
    firstOf.set(name, first)
    first += all.widths[i] ?? NaN
  }
  const asked = new Map<string, ReadonlySet<string>>()
  const derived = all.derived.map(({ name, expression }) => {
    // A derived feature reads only features defined before it.
    const through = featuresOf(expression).flatMap((feature) => [...(asked.get(feature) ?? [])])
    const fields = new Set([...eventFieldsOf(expression), ...through])
    asked.set(name, fields)
    const evaluate = compileExpression(expression, (feature) => indexOf.get(feature) ?? -1)
    return { name, fields: [...fields], evaluate }
  })
  const decoder = new StateDecoder(() => store.layouts())
  const isForeign = ({ entity }: EntityKey, blob: Uint8Array | null | undefined) =>
    blob !== null && blob !== undefined && layoutIn(blob) !== entities.get(entity)?.layout
  return {
    async read(keys, atMs) {
      if (states !== undefined) refuse(states.statesStatus())
      const blobs = await store.load(keys)
      if (states !== undefined && blobs.includes(null)) refuse(await states.confirm())
      if (keys.some((key, i) => isForeign(key, blobs[i]))) {
        for (const entity of plan.entities) {
          const own = blobs.filter((_, i) => keys[i]?.entity === entity.name)
          await decoder.foreign(entity, own)
        }
      }
      const features: EntityFeatures[] = []
      let i = 0
      for (const key of keys) {
        const entity = entities.get(key.entity)
        assert(entity !== undefined, `the caller asks for entities that exist, not ${key.entity}`)
        const blob = blobs[i] ?? null
        i += 1
        const state = blob === null ? null : decoder.decodeForRead(entity, blob, clock.nowMs())
        // Without a state the windows are empty, as they are for an entity's first event.
        const { features: values, flags } = readFeatures(entity, state, atMs)
        const newestTimeMs = state?.newestTimeMs ?? null
        features.push({ key, found: state !== null, newestTimeMs, sequence: state?.sequence ?? null, values, flags })
      }
      return features
    },
    derive(names, rows, request) {
      const values = new Array<number | null>(all.names.length).fill(null)
      for (const { key, values: own } of rows) {
        let at = firstOf.get(key.entity) ?? NaN
        for (const value of own) {
          values[at] = value
          at += 1
        }
      }
      const { data, timeMs } = request ?? { data: {}, timeMs: NaN }
      const isSaid = (field: string) => request !== null && (field === timeField || data[field] !== undefined)
      for (const { name, evaluate, fields } of derived) {
        // Null although the expression may have a default: defaults stand for an entity's unknown features, not for
        // fields.
        values[indexOf.get(name) ?? -1] = fields.every(isSaid) ? evaluate(values, data, timeMs) : null
      }
      return names.map((name) => values[indexOf.get(name) ?? -1] ?? null)
    },
  }
}

function refuse(statesStatus: StatesStatus): void {
  if (statesStatus.kind === 'refused')
    throw new RiverbankError(statesStatus.code, statesStatus.reason, { canRetry: true })
}

/** Asks the states of the partition-key entity which of the event ids they remember. */
export function createKnownEvents(store: States, plan: FeaturePlan, clock: Clock): KnownEvents {
  const owner = plan.entities.find((entity) => entity.partitionKey)
  assert(owner !== undefined, 'a plan has a partition-key entity')
  const decoder = new StateDecoder(() => store.layouts())
  return {
    async known(events: readonly Identity[]) {
      const ids = [...new Set(events.map((event) => event.aggregateId))]
      const blobs = await store.load(ids.map((id) => ({ entity: owner.name, id })))
      await decoder.foreign(owner, blobs)
      const states = new Map(ids.map((id, i) => [id, blobs[i] ?? null]))
      return events.map(({ aggregateId, eventId }) => {
        const blob = states.get(aggregateId) ?? null
        return blob !== null && knowsEvent(decoder.decode(owner, blob, clock.nowMs()), eventId)
      })
    },
  }
}
