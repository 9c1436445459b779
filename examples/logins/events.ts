import { defineEvent, eventId, z } from 'riverbank/define'

const id = z.string().regex(/^[\w:-]{1,64}$/, 'must be 1 to 64 letters, digits or _ : -')
const ip = z.string().regex(/^[0-9a-fA-F.:]{2,45}$/, 'must be an IPv4 or IPv6 address')
const country = z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 alpha-2 code')
const timeMs = z.number().int().min(0).max(8_640_000_000_000_000)
const idCodes = { missing: 'missing_entity_id', invalid: 'invalid_entity_id' } as const
const fieldCodes = { accountId: idCodes, deviceId: idCodes, ip: idCodes } as const

const login = z.object({
  accountId: id,
  /** Left out where the client does not send it, as with old browsers. */
  deviceId: id.optional(),
  ip,
  country,
  succeeded: z.boolean(),
})

/** Somebody gave the name of an account and a secret. Scored, whether the secret was right or not. */
export const loginAttempted = defineEvent({
  type: 'login.attempted',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'time',
  fieldCodes,
  scored: {
    emits: 'login.scored',
    id: 'loginId',
    time: 'loginTimeMs',
    repeats: ['accountId', 'deviceId', 'ip', 'country', 'succeeded'],
  },
  view: 'logins',
  versions: { 1: { schema: login } },
  current: login,
})

const reset = z.object({
  accountId: id,
  /** Left out where the client does not send it, as with old browsers. */
  deviceId: id.optional(),
  ip,
  country,
  /** The code goes to the telephone; else to the mailbox. */
  bySms: z.boolean(),
})

/**
 * Somebody claims to have forgotten an account's secret. Scored, too: an attacker who cannot guess it requests a reset.
 */
export const resetRequested = defineEvent({
  type: 'password.reset_requested',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'time',
  fieldCodes,
  scored: {
    emits: 'reset.scored',
    id: 'resetId',
    time: 'resetTimeMs',
    repeats: ['accountId', 'deviceId', 'ip', 'country', 'bySms'],
  },
  view: 'resets',
  versions: { 1: { schema: reset } },
  current: reset,
})

/** What a label repeats of its login, so that no reader must look it up. */
const labelled = z.object({
  loginId: eventId,
  accountId: id,
  deviceId: id.optional(),
  ip,
  /** When the login happened: the label counts there, not when it became known. */
  loginTimeMs: timeMs,
})

function labelOfLogin<Type extends string, const Kinds extends readonly string[]>(
  type: Type,
  kinds: Kinds,
  outcome: { readonly withdraws?: true } = {},
) {
  const schema = labelled.extend({ kind: z.enum(kinds) })
  return defineEvent({
    type,
    aggregateType: 'account',
    aggregateField: 'accountId',
    timestamp: 'loginTimeMs',
    fieldCodes,
    label: {
      of: loginAttempted,
      subject: 'loginId',
      repeats: { accountId: 'accountId', deviceId: 'deviceId', ip: 'ip', loginTimeMs: 'time' },
      kind: 'kind',
      says: 'takeover',
      ...outcome,
    },
    versions: { 1: { schema } },
    current: schema,
  })
}

/** A label: this login was somebody else's. */
export const takeoverReported = labelOfLogin('takeover.reported', ['owner_report', 'support_review'])
/** Withdraws the report of a login. */
export const takeoverWithdrawn = labelOfLogin('takeover.withdrawn', ['owner_remembered', 'reported_in_error'], {
  withdraws: true,
})

const disputed = z.object({
  resetId: eventId,
  accountId: id,
  deviceId: id.optional(),
  ip,
  resetTimeMs: timeMs,
  kind: z.enum(['owner_report', 'support_review']),
})

/** A label: the owner of the account did not ask for this reset. */
export const resetDisputed = defineEvent({
  type: 'reset.disputed',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'resetTimeMs',
  fieldCodes,
  label: {
    of: resetRequested,
    subject: 'resetId',
    repeats: { accountId: 'accountId', deviceId: 'deviceId', ip: 'ip', resetTimeMs: 'time' },
    kind: 'kind',
    says: 'dispute',
  },
  versions: { 1: { schema: disputed } },
  current: disputed,
})
