import {
  count,
  defineEntity,
  defineSource,
  defineView,
  distinct,
  measure,
  rate,
  run,
  secondsSinceFirst,
  secondsSinceLast,
} from 'riverbank/define'
import { loginAttempted, resetDisputed, resetRequested, takeoverReported } from './events.ts'

/** Who logs in. Events are partitioned by account, so one account's events are in order. */
export const account = defineEntity({ name: 'account', keyFields: ['accountId'], partitionKey: true })
export const device = defineEntity({ name: 'device', keyFields: ['deviceId'] })
/** Addresses are shared: by the people of a household, and by the victims of an attacker. */
export const ip = defineEntity({ name: 'ip', keyFields: ['ip'] })
export const accountDevice = defineEntity({ name: 'account_device', keyFields: ['accountId', 'deviceId'] })

const columns = { account: 'accountId', device: 'deviceId', ip: 'ip', country: 'country' } as const
const logins = defineSource({ name: 'login', event: loginAttempted, columns })
const failures = defineSource({
  name: 'failure',
  event: loginAttempted,
  columns,
  where: [{ field: 'succeeded', is: '==', value: false }],
})
const takeovers = defineSource({ name: 'takeover', event: takeoverReported, columns: {} })
const resets = defineSource({ name: 'reset', event: resetRequested, columns: { reset_account: 'accountId' } })
const disputes = defineSource({ name: 'dispute', event: resetDisputed, columns: {} })

/** How often somebody tries this account, how often in vain, and from how many places. */
export const accountLogins = defineView({
  name: 'account_logins',
  version: 1,
  entity: account,
  aggregates: [
    count(logins),
    count(failures),
    distinct(logins, 'ip', { cap: 64 }),
    distinct(logins, 'country', { cap: 16 }),
    distinct(logins, 'device', { cap: 32 }),
  ],
  windows: ['5m', '1h', '1d', '30d'],
  hop: '1s',
  reasons: {
    login_count: measure('{value} login{s} to the account in {window}'),
    failure_count: measure('{value} failed login{s} to the account in {window}'),
    ip_distinct: measure('logins from {value} IP{s} in {window}'),
    country_distinct: measure('countries of logins in {window}: {value}'),
    device_distinct: measure('logins from {value} device{s} in {window}'),
  },
})

/** When the account was used last, and how many attempts in a row have failed. */
export const accountRhythm = defineView({
  name: 'account_rhythm',
  version: 1,
  entity: account,
  aggregates: [secondsSinceLast(logins), secondsSinceLast(failures), run(failures, logins)],
  windows: ['30d'],
  hop: '1s',
})

export const deviceLogins = defineView({
  name: 'device_logins',
  version: 1,
  entity: device,
  aggregates: [count(logins), count(failures), distinct(logins, 'account', { cap: 64 })],
  windows: ['1h', '1d', '30d'],
  hop: '1s',
  reasons: { account_distinct: measure('{value} account{s} tried from the device in {window}') },
})

export const ipLogins = defineView({
  name: 'ip_logins',
  version: 1,
  entity: ip,
  aggregates: [count(logins), count(failures), distinct(logins, 'account', { cap: 256 })],
  windows: ['1h', '1d', '7d'],
  hop: '1s',
  reasons: {
    failure_count: measure('{value} failed login{s} from the address in {window}'),
    account_distinct: measure('{value} account{s} tried from the address in {window}'),
  },
})

/** Takeovers from an address and their share of its logins, as far as known three days later. */
export const ipTakeovers = defineView({
  name: 'ip_takeovers',
  version: 1,
  entity: ip,
  aggregates: [count(takeovers), rate(takeovers, logins)],
  windows: ['7d', '30d'],
  hop: '1s',
  delay: '3d',
  reasons: { takeover_count: measure('{value} takeover{s} from the address in {window}, three days ago') },
})

/** Has this account been used on this device before? */
export const accountOnDevice = defineView({
  name: 'account_on_device',
  version: 1,
  entity: accountDevice,
  aggregates: [count(logins), secondsSinceFirst(logins)],
  windows: ['lifetime'],
  hop: '1h',
})

/** How often somebody requests a reset. */
export const accountResets = defineView({
  name: 'account_resets',
  version: 1,
  entity: account,
  aggregates: [count(resets)],
  windows: ['1h', '30d'],
  hop: '1s',
  reasons: { reset_count: measure('{value} reset{s} of the account in {window}') },
})

export const ipResets = defineView({
  name: 'ip_resets',
  version: 1,
  entity: ip,
  aggregates: [count(resets), distinct(resets, 'reset_account', { cap: 256 })],
  windows: ['1h', '1d', '7d'],
  hop: '1s',
  reasons: {
    reset_count: measure('{value} reset{s} from the address in {window}'),
    reset_account_distinct: measure('resets of {value} account{s} from the address in {window}'),
  },
})

/** How many resets from an address were disputed, as far as it is known three days later. */
export const ipDisputes = defineView({
  name: 'ip_disputes',
  version: 1,
  entity: ip,
  aggregates: [count(disputes)],
  windows: ['7d', '30d'],
  hop: '1s',
  delay: '3d',
  reasons: { dispute_count: measure('{value} reset{s} from the address disputed in {window}, three days ago') },
})
