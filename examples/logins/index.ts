import { defineFeatureSet, defineProject, defineService } from 'riverbank/define'
import * as derived from './derived.ts'
import { loginAttempted, resetDisputed, resetRequested, takeoverReported, takeoverWithdrawn } from './events.ts'
import { loginSimulator } from './simulator/simulator.ts'
import * as views from './views.ts'

const { accountLogins, accountRhythm, deviceLogins, ipLogins, ipTakeovers } = views
const { accountResets, ipResets, ipDisputes } = views

export const takeoverService = defineService({
  name: 'takeover_v1',
  of: loginAttempted,
  vector: [
    derived.failed,
    derived.night,
    derived.noDevice,
    derived.firstOnDevice,
    derived.secondsSinceLogin,
    derived.secondsSinceFailure,
    derived.failedShare,
    accountLogins.feature('login_count_5m'),
    accountLogins.feature('failure_count_5m'),
    accountLogins.feature('failure_count_1h'),
    accountLogins.feature('failure_count_1d'),
    accountLogins.feature('ip_distinct_1d'),
    accountLogins.feature('country_distinct_1d'),
    accountLogins.feature('device_distinct_1d'),
    accountLogins.feature('device_distinct_30d'),
    accountRhythm.feature('failure_run_30d'),
    derived.loginsOfDevice,
    derived.accountsOfDevice1d,
    derived.accountsOfDevice30d,
    ipLogins.feature('login_count_1h'),
    ipLogins.feature('account_distinct_1d'),
    ipLogins.feature('account_distinct_7d'),
    derived.failedShareOfIp,
    ipTakeovers.feature('takeover_count_7d'),
    derived.takeoverRateOfIp,
  ],
})

/** The inputs for a reset, some of which logins share. */
export const resetService = defineService({
  name: 'reset_v1',
  of: resetRequested,
  vector: [
    derived.bySms,
    derived.night,
    derived.noDevice,
    derived.firstOnDevice,
    derived.secondsSinceLogin,
    derived.secondsSinceFailure,
    accountLogins.feature('failure_count_1h'),
    accountLogins.feature('failure_count_1d'),
    accountLogins.feature('ip_distinct_1d'),
    accountLogins.feature('device_distinct_30d'),
    accountResets.feature('reset_count_1h'),
    accountResets.feature('reset_count_30d'),
    derived.accountsOfDevice30d,
    ipLogins.feature('account_distinct_7d'),
    derived.failedShareOfIp,
    ipResets.feature('reset_count_1h'),
    ipResets.feature('reset_count_7d'),
    ipResets.feature('reset_account_distinct_1d'),
    ipTakeovers.feature('takeover_count_7d'),
    ipDisputes.feature('dispute_count_7d'),
  ],
})

export const loginFeatures = defineFeatureSet({
  events: [loginAttempted, resetRequested, takeoverReported, takeoverWithdrawn, resetDisputed],
  entities: [views.account, views.device, views.ip, views.accountDevice],
  views: [
    ...[accountLogins, accountRhythm, deviceLogins, ipLogins, ipTakeovers, views.accountOnDevice],
    ...[accountResets, ipResets, ipDisputes],
  ],
  derived: [
    derived.failed,
    derived.night,
    derived.noDevice,
    derived.firstOnDevice,
    derived.loginsOfDevice,
    derived.accountsOfDevice1d,
    derived.accountsOfDevice30d,
    derived.failedShareOfIp,
    derived.takeoverRateOfIp,
    derived.secondsSinceLogin,
    derived.secondsSinceFailure,
    derived.failedShare,
    derived.bySms,
  ],
  services: [takeoverService, resetService],
})

/** Logins and password resets, and which of them were somebody else's. */
export const logins = defineProject({
  name: 'logins',
  features: () => loginFeatures,
  samples: { entity: { name: views.account.name, id: 'a-17' }, scored: 'logins and resets' },
  simulate: () => loginSimulator,
})
