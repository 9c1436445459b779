/** A thing that has features: a customer, a terminal. */
export interface Entity<Name extends string = string, KeyField extends string = string> {
  readonly name: Name
  /** The field of an event's data that holds the id. An event without this field does not touch the entity. */
  readonly keyField: KeyField
  /** Exactly one entity of a feature set is the log's partition key. */
  readonly partitionKey: boolean
}

export function defineEntity<Name extends string, KeyField extends string>(options: {
  readonly name: Name
  readonly keyField: KeyField
  readonly partitionKey?: boolean
}): Entity<Name, KeyField> {
  if (!/^[a-z]+(_[a-z]+)*$/.test(options.name)) {
    throw new Error(`entity "${options.name}": write the name in lower_snake_case`)
  }
  return Object.freeze({ name: options.name, keyField: options.keyField, partitionKey: options.partitionKey ?? false })
}
