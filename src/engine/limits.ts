/**
 * Deduplication reaches back this far, whichever is less. This many ids take a megabyte of a state; an entity with more
 * events in a day would need an inexact filter.
 */
export const deduplication = { hours: 24, ids: 131_072 } as const

/** An entity remembers as many subjects as it keeps tiles of one hop; of more, the ones that were applied last. */
export const subjectsMax = 4_096
