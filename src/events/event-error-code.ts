/** Stable codes of everything that can be wrong with one event. They are part of the API. */
export const eventErrorCodes = [
  'event_too_large',
  'undecodable_bytes',
  'invalid_json',
  'forbidden_key',
  'invalid_envelope',
  'unknown_event_type',
  'unknown_event_version',
  'missing_entity_id',
  'invalid_entity_id',
  'invalid_amount',
  'invalid_data',
  'value_not_accepted',
  'event_in_future',
  'event_too_old',
  'duplicate_event',
] as const
export type EventErrorCode = (typeof eventErrorCodes)[number]
