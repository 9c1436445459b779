import { checkOptions } from './checks/options.ts'

/** A thing that has features: an account, a device, or a pair of them. */
export interface Entity<Name extends string = string, KeyField extends string = string> {
  readonly name: Name
  /**
   * The fields of an event's data that make the id, in this order. An event that lacks one of them, or has null there,
   * does not name the entity: its features are missing for that event.
   */
  readonly keyFields: readonly KeyField[]
  /** Exactly one entity of a feature set is the log's partition key. */
  readonly partitionKey: boolean
  /**
   * What one state holds at most of each hop. A hot entity that exceeds it forgets its oldest tiles, and flags its
   * features: a longer hop holds more time in as many tiles.
   */
  readonly tilesMax: number
}

const defaultTilesMax = 4_096
/** The processor reads and writes a state whole: beyond this one hot entity would slow its whole partition down. */
const largestTilesMax = 65_536

interface EntityOptions<Name extends string, KeyField extends string> {
  readonly name: Name
  /** One field, or several for a composite entity. */
  readonly keyFields: readonly [KeyField, ...KeyField[]]
  readonly partitionKey?: boolean
  readonly tilesMax?: number
}

const entityOptions = { required: ['name', 'keyFields'], optional: ['partitionKey', 'tilesMax'] } as const

export function defineEntity<Name extends string, const KeyField extends string>(
  options: EntityOptions<Name, KeyField>,
): Entity<Name, KeyField> {
  checkOptions(`entity "${options.name}"`, options, entityOptions)
  const { name, keyFields, partitionKey = false, tilesMax = defaultTilesMax } = options
  const mistake = (text: string) => new Error(`entity "${name}": ${text}`)
  if (!/^[a-z]+(_[a-z]+)*$/.test(name)) throw mistake('write the name in lower_snake_case')
  if (keyFields.at(0) === undefined) throw mistake('name the fields that make its id in keyFields')
  if (new Set(keyFields).size < keyFields.length) throw mistake('a key field stands twice')
  if (partitionKey && keyFields.length > 1) throw mistake('the partition key is one field, not a combination')
  if (!Number.isSafeInteger(tilesMax) || tilesMax < 1 || tilesMax > largestTilesMax) {
    throw mistake(`tilesMax is a whole number from 1 to ${largestTilesMax}, not ${tilesMax}`)
  }
  return Object.freeze({ name, keyFields, partitionKey, tilesMax })
}
