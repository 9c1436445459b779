import { historyHeader } from '../../src/events/event-time.ts'

/** Headers of records whose events have fixed times, for a log that takes them now. */
export const historyHeaders: Readonly<Record<string, string>> = { [historyHeader]: '2018-01-01T00:00:00Z' }
