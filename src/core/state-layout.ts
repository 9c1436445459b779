import type { SlotKind } from './slot.ts'

/**
 * What a blob holds, as data: kept beside the states, so that every later feature set can read what an earlier one
 * wrote.
 */
export interface StateLayout {
  readonly entity: string
  readonly partitionKey: boolean
  readonly horizonMs: number
  readonly groups: readonly GroupLayout[]
}

export interface GroupLayout {
  readonly hopMs: number
  readonly tilesMax: number
  readonly slots: readonly SlotLayout[]
}

export interface SlotLayout {
  readonly id: string
  readonly kind: SlotKind
  readonly size: number
  readonly lifetime: boolean
}
