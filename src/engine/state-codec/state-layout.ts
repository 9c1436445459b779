import type { SlotKind } from '../slot-kind.ts'
import { z } from 'zod'
import { RiverbankError } from '../../base/errors.ts'
import type { EntityPlan } from '../plan.ts'
import type { TileGroupPlan } from '../tile-group.ts'
import { ValueCodes } from '../tiles/distinct.ts'
import { placed } from '../tiles/tile-row.ts'

const kinds = [
  ...(['count', 'sum', 'square_sum', 'min', 'max', 'oldest_time', 'newest_time'] as const),
  ...(['oldest', 'newest', 'distinct'] as const),
] satisfies readonly SlotKind[]

const slotLayoutSchema = z.object({ id: z.string(), kind: z.enum(kinds), size: z.number(), lifetime: z.boolean() })
const groupLayoutSchema = z.object({ hopMs: z.number(), tilesMax: z.number(), slots: z.array(slotLayoutSchema) })
const stateLayoutSchema = z.object({
  entity: z.string(),
  partitionKey: z.boolean(),
  horizonMs: z.number(),
  groups: z.array(groupLayoutSchema),
})

/**
 * What a blob holds, as data: kept beside the states, so that every later feature set can read what an earlier one
 * wrote.
 */
export type StateLayout = z.infer<typeof stateLayoutSchema>
export type GroupLayout = z.infer<typeof groupLayoutSchema>

/** What decoding a blob needs of a plan. */
export type BlobPlan = Pick<EntityPlan, 'name' | 'partitionKey' | 'layout' | 'horizonMs' | 'groups'>

export function layoutOf({ name, partitionKey, horizonMs, groups }: Omit<BlobPlan, 'layout'>): StateLayout {
  return {
    entity: name,
    partitionKey,
    horizonMs,
    groups: groups.map(({ hopMs, tilesMax, slots }) => ({
      hopMs,
      tilesMax,
      slots: slots.map(({ id, kind, size, lifetime }) => ({ id, kind, size, lifetime })),
    })),
  }
}

/** As `slotId` of the definitions writes it: kind, event type, field, conditions (a field first in each). */
const slotIdSchema = z.tuple(
  [z.unknown(), z.string(), z.string().nullable(), z.array(z.tuple([z.string()], z.unknown()))],
  z.unknown(),
)

/** Which events a slot reads: part of its id. */
export function eventTypeOfSlot(id: string): string {
  return slotIdSchema.parse(JSON.parse(id))[1]
}

/** Which fields of an event's data a slot reads: its value's, and those of its conditions. */
export function fieldsOfSlot(id: string): string[] {
  const [, , field, where] = slotIdSchema.parse(JSON.parse(id))
  return [...(field === null ? [] : [field]), ...where.map(([name]) => name)]
}

/** Errors: `state_layout` when the text is none. */
export function parseLayout(text: string): StateLayout {
  let json: unknown = null
  try {
    json = JSON.parse(text)
  } catch {
    // Refused below, as everything that is no layout.
  }
  const parsed = stateLayoutSchema.safeParse(json)
  if (!parsed.success) throw new RiverbankError('state_layout', `a layout kept beside the states is none: ${text}`)
  return parsed.data
}

/** A plan that reads the blobs of a layout, and nothing else. */
export function blobPlanOf(layout: number, { entity, partitionKey, horizonMs, groups }: StateLayout): BlobPlan {
  const codes = new ValueCodes()
  return {
    name: entity,
    partitionKey,
    layout,
    horizonMs,
    groups: groups.map(({ hopMs, tilesMax, slots }): TileGroupPlan => ({
      hopMs,
      tilesMax,
      ...placed(slots, codes),
      reads: [],
    })),
  }
}
