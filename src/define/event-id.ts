import { eventIdSchema } from '../events/envelope.ts'

/** The schema of a field that names an event: it takes every id of an event, and nothing else. */
export const eventId: typeof eventIdSchema = eventIdSchema
