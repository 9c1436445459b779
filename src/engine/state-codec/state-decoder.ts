import { RiverbankError } from '../../base/errors.ts'
import { migrateState } from '../evolution/migrate.ts'
import type { EntityPlan } from '../plan.ts'
import { decodeForRead, decodeState, layoutIn } from './state-blob.ts'
import { blobPlanOf, parseLayout, type BlobPlan } from './state-layout.ts'
import type { EntityState, ReadableState } from '../state/state.ts'

/** A state as another feature set wrote it. */
export interface ForeignState {
  readonly state: EntityState
  readonly layout: BlobPlan
}

/** Layouts as JSON, by the hash that blobs name. */
export type KeptLayouts = ReadonlyMap<number, string>

/**
 * Reads blobs of every layout that is kept beside the states. It fetches layouts only when a blob names an unknown one.
 */
export class StateDecoder {
  private readonly fetchLayouts: () => Promise<KeptLayouts>
  private layouts = new Map<number, BlobPlan>()

  constructor(fetchLayouts: () => Promise<KeptLayouts>) {
    this.fetchLayouts = fetchLayouts
  }

  /** The blobs that another feature set wrote; from then on `decode` can read them. Errors: `state_layout`. */
  async foreign(plan: EntityPlan, blobs: readonly (Uint8Array | null)[]): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = []
    for (const blob of blobs) if (blob !== null && isForeign(plan, blob)) found.push(blob)
    if (found.some((blob) => !this.layouts.has(layoutIn(blob)))) {
      const kept = await this.fetchLayouts()
      this.layouts = new Map([...kept].map(([layout, text]) => [layout, blobPlanOf(layout, parseLayout(text))]))
    }
    return found
  }

  /** Reads a blob of any layout, migrated to the plan. Errors: `state_corrupt`, `state_layout`. */
  decode(plan: EntityPlan, blob: Uint8Array, nowMs: number): EntityState {
    if (!isForeign(plan, blob)) return decodeState(plan, blob)
    const { state, layout } = this.decodeForeign(plan, blob)
    return migrateState(plan, layout, state, nowMs)
  }

  /** The same as far as a read of features needs it. */
  decodeForRead(plan: EntityPlan, blob: Uint8Array, nowMs: number): ReadableState {
    return isForeign(plan, blob) ? this.decode(plan, blob, nowMs) : decodeForRead(plan, blob)
  }

  decodeForeign(plan: EntityPlan, blob: Uint8Array): ForeignState {
    const number = layoutIn(blob)
    const layout = this.layouts.get(number)
    if (layout === undefined || layout.name !== plan.name) {
      const reason = `a state of entity ${plan.name} has the layout ${number.toString(16)}, and no such layout is kept beside the states: only the version that wrote it can read it, or empty the states and run riverbank rebuild`
      throw new RiverbankError('state_layout', reason)
    }
    return { state: decodeState(layout, blob), layout }
  }
}

/** The codec refuses bytes that are too short to name a layout. */
function isForeign(plan: EntityPlan, blob: Uint8Array): boolean {
  const layout = layoutIn(blob)
  return layout !== -1 && layout !== plan.layout
}
