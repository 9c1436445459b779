import type { EventErrorCode } from '../../events/event-error-code.ts'

export interface ProblemKind {
  readonly status: number
  readonly title: string
  /** Seconds after which the same request may succeed. */
  readonly retryAfterS?: number
}

const eventProblems: Readonly<Record<EventErrorCode, ProblemKind>> = {
  event_too_large: { status: 413, title: 'The event is too large' },
  undecodable_bytes: { status: 400, title: 'The bytes are not UTF-8' },
  invalid_json: { status: 400, title: 'The body is not JSON' },
  forbidden_key: { status: 400, title: 'The event has a key that is not accepted' },
  invalid_envelope: { status: 400, title: 'The envelope of the event is not valid' },
  unknown_event_type: { status: 422, title: 'There is no such event type' },
  unknown_event_version: { status: 422, title: 'There is no such version of the event type' },
  missing_entity_id: { status: 422, title: 'An entity id is missing' },
  invalid_entity_id: { status: 400, title: 'No entity can have this id' },
  invalid_amount: { status: 422, title: 'The amount is not valid' },
  invalid_data: { status: 422, title: 'The data of the event is not valid' },
  event_in_future: { status: 422, title: 'The event is in the future' },
  value_not_accepted: { status: 422, title: 'A value is valid, and not accepted here' },
  event_too_old: { status: 422, title: 'The event is too old' },
  duplicate_event: { status: 409, title: 'The event was accepted before' },
}

export const problems = {
  ...eventProblems,
  empty_batch: { status: 400, title: 'The batch is empty' },
  batch_too_large: { status: 413, title: 'The batch has too many events' },
  batch_rejected: { status: 422, title: 'Every event of the batch was rejected' },
  body_too_large: { status: 413, title: 'The body is too large' },
  body_unreadable: { status: 400, title: 'The body ended early' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported' },
  invalid_request: { status: 422, title: 'The request is not valid' },
  invalid_parameter: { status: 422, title: 'A parameter is not valid' },
  unknown_entity: { status: 404, title: 'There is no such entity' },
  unknown_feature: { status: 422, title: 'There are no such features' },
  unknown_feature_service: { status: 422, title: 'There is no such feature service' },
  missing_entity: { status: 422, title: 'The features need entities that the request does not name' },
  feature_name_collision: { status: 422, title: 'Two features have the same short name' },
  event_conflict: { status: 409, title: 'Another event of the aggregate has this id' },
  ambiguous_event_id: { status: 409, title: 'Several aggregates have used the event id' },
  lookup_busy: { status: 503, title: 'Too many look-ups in the lake', retryAfterS: 1 },
  score_not_found: { status: 404, title: 'There is no score of this event yet' },
  model_not_found: { status: 404, title: 'The model that scored is not here' },
  model_refused: { status: 503, title: 'The model that scored cannot be read' },
  explanation_unavailable: { status: 422, title: 'Scores of this model cannot be explained' },
  explanation_mismatch: { status: 409, title: 'The model here is not the one that scored' },
  too_many_subscribers: { status: 503, title: 'All streams are taken', retryAfterS: 5 },
  sql_invalid: { status: 400, title: 'The query is not valid' },
  sql_forbidden: { status: 403, title: 'The query is not allowed' },
  sql_timeout: { status: 504, title: 'The query ran for too long' },
  sql_busy: { status: 503, title: 'Too many queries are running: this one did not run', retryAfterS: 1 },
  sql_starting: { status: 503, title: 'Queries are being made ready: this one did not run', retryAfterS: 5 },
  sql_failed: { status: 422, title: 'The query failed' },
  sql_too_large: { status: 422, title: 'The query, its memory or its result is too large' },
  sql_cancelled: { status: 503, title: 'The query was given up' },
  scored_type_unknown: { status: 422, title: 'Several types of events are scored' },
  model_is_champion: { status: 409, title: 'The model is the champion' },
  shadow_with_policy: { status: 422, title: 'A shadow decides nothing, so it has no policy' },
  model_is_shadow: { status: 409, title: 'The model is a shadow already' },
  model_not_serving: { status: 409, title: 'The model does not score' },
  too_many_shadows: { status: 409, title: 'There are as many shadows as there may be' },
  no_former_generation: { status: 409, title: 'There are no former models' },
  generations_contended: { status: 503, title: 'Others change the models at the same time', retryAfterS: 1 },
  unauthorized: { status: 401, title: 'A valid API key is needed' },
  foreign_host: { status: 421, title: 'The host is not this service' },
  foreign_origin: { status: 403, title: 'Other web pages may not call this service' },
  bad_request: { status: 400, title: 'The request cannot be read' },
  not_found: { status: 404, title: 'There is no such route' },
  method_not_allowed: { status: 405, title: 'The route has no such method' },
  request_timeout: { status: 504, title: 'The request took too long' },
  overloaded: { status: 503, title: 'Too many requests at the same time', retryAfterS: 1 },
  not_ready: { status: 503, title: 'The service is not ready', retryAfterS: 1 },
  log_unavailable: { status: 503, title: 'The log cannot be reached', retryAfterS: 1 },
  log_full: { status: 503, title: 'The log is full', retryAfterS: 5 },
  record_too_large: { status: 413, title: 'The log does not take a record of this size' },
  state_unavailable: { status: 503, title: 'The states cannot be reached', retryAfterS: 1 },
  state_lost: { status: 503, title: 'The states were emptied and wait for a rebuild', retryAfterS: 10 },
  state_rebuilding: { status: 503, title: 'The states are being rebuilt', retryAfterS: 10 },
  states_undrained: { status: 503, title: 'The states belong to another feature set', retryAfterS: 10 },
  lake_mismatch: { status: 503, title: 'The states belong to another installation' },
  log_recreated: { status: 503, title: 'The log that the states came from is gone' },
  unavailable: { status: 503, title: 'Something this request needs cannot be reached', retryAfterS: 1 },
  internal_error: { status: 500, title: 'The service made a mistake' },
} satisfies Readonly<Record<string, ProblemKind>>

export type ProblemCode = keyof typeof problems
export const problemCodes = Object.keys(problems).filter(isProblemCode)

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code)
}
