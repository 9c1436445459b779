import {
  coalesce,
  condition,
  defineDerived,
  equal,
  eventField,
  eventTime,
  hourOfDay,
  lessOrEqual,
  measure,
  ratio,
} from 'riverbank/define'
import { loginAttempted, resetRequested } from './events.ts'
import { accountLogins, accountOnDevice, accountRhythm, deviceLogins, ipLogins, ipTakeovers } from './views.ts'

/** For logins and resets: a feature reads fields, whatever the event's type. */
export const night = defineDerived(
  'night',
  '1 until 05:59 (UTC)',
  lessOrEqual(hourOfDay(eventTime), 5),
  condition({ yes: 'before 06:00 (UTC)', no: 'from 06:00 on (UTC)' }),
)

export const failed = defineDerived(
  'login_failed',
  '1 when the secret was wrong',
  equal(eventField(loginAttempted, 'succeeded'), 0),
  condition({ yes: 'a failed login', no: 'a login with the right secret' }),
)

/** A login without a device names none: its features of the device are missing. */
export const noDevice = defineDerived(
  'device_unknown',
  '1 when the login does not say its device',
  equal(coalesce(deviceLogins.feature('login_count_30d'), -1), -1),
  condition({ yes: 'a login that does not say its device', no: 'a login that says its device' }),
)

export const firstOnDevice = defineDerived(
  'first_on_device',
  '1 when the account was never used on this device before; 0 where the device is unknown',
  equal(coalesce(accountOnDevice.feature('login_count_lifetime'), 1), 0),
  condition({
    yes: 'the first login of the account on this device',
    no: 'not the first login of the account on this device',
  }),
)

export const loginsOfDevice = defineDerived(
  'device_logins_30d',
  'logins on the device in 30 days; 0 where it is unknown',
  coalesce(deviceLogins.feature('login_count_30d'), 0),
  measure('{value} login{s} on the device in 30 days'),
)

function accountsOfDevice(window: '1d' | '30d') {
  return defineDerived(
    `device_accounts_${window}`,
    `accounts tried on the device in ${window}; 0 where it is unknown`,
    coalesce(deviceLogins.feature(`account_distinct_${window}`), 0),
    measure(`{value} account{s} tried on the device in ${window === '1d' ? 'a day' : '30 days'}`),
  )
}

export const accountsOfDevice1d = accountsOfDevice('1d')
export const accountsOfDevice30d = accountsOfDevice('30d')

export const failedShareOfIp = defineDerived(
  'ip_failed_share_1d',
  'share of the logins from the address in a day that failed; 0 where there were none',
  coalesce(ratio(ipLogins.feature('failure_count_1d'), ipLogins.feature('login_count_1d')), 0),
  measure('{value} of the logins from the address failed in a day', { unit: 'share' }),
)

export const takeoverRateOfIp = defineDerived(
  'ip_takeover_rate_30d',
  'share of the logins from the address in 30 days, three days ago, that were takeovers; 0 where there were none',
  coalesce(ipTakeovers.feature('takeover_rate_30d'), 0),
  measure('{value} of the logins from the address were takeovers in 30 days, three days ago', { unit: 'share' }),
)

/** The longest the view looks back. */
const neverSeconds = 30 * 86_400
export const secondsSinceLogin = defineDerived(
  'seconds_since_login',
  'from the last login to this one; 30 days where there was none',
  coalesce(accountRhythm.feature('login_seconds_since_last_30d'), neverSeconds),
  measure('{value} after the last login', { unit: 'seconds' }),
)

export const secondsSinceFailure = defineDerived(
  'seconds_since_failure',
  'from the last failed login to this one; 30 days where there was none',
  coalesce(accountRhythm.feature('failure_seconds_since_last_30d'), neverSeconds),
  measure('{value} after the last failed login', { unit: 'seconds' }),
)

export const failedShare = defineDerived(
  'account_failed_share_1h',
  'share of the logins to the account in an hour that failed; 0 where there were none',
  coalesce(ratio(accountLogins.feature('failure_count_1h'), accountLogins.feature('login_count_1h')), 0),
  measure('{value} of the logins to the account failed in an hour', { unit: 'share' }),
)

export const bySms = defineDerived(
  'reset_by_sms',
  '1 when the code goes to the telephone',
  equal(eventField(resetRequested, 'bySms'), 1),
  condition({ yes: 'a code by SMS', no: 'a code by mail' }),
)
