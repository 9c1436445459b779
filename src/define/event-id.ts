import { eventIdSchema } from '../events/envelope.ts'

/** A field of the data that names an event: what an event can have as its id, and nothing else. */
export const eventId: typeof eventIdSchema = eventIdSchema
