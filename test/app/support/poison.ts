/** What the planted bug does to the process that meets the record. */
export type Harm = 'kill' | 'loop' | 'never'

/** The record at which the roles of spoiled-role.ts have their bug. */
export const poison = { eventId: 'poison', eventType: 'customer.profile_changed', customerId: 'poisoned' } as const
