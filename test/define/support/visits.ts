import { z } from 'zod'
import { count, distinct, last, mean, sum } from '../../../src/define/aggregate.ts'
import { defineEntity } from '../../../src/define/entity.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { defineService, type FeatureSet } from '../../../src/define/feature-set.ts'
import { category, defineSource } from '../../../src/define/source.ts'
import { defineView } from '../../../src/define/view.ts'

/** Logins of users: from a device that a cookie names, or from one that nobody knows. */
export const loginSchema = z.object({
  userId: z.string(),
  deviceId: z.string().optional(),
  networkId: z.string().nullable(),
  attempts: z.number().int(),
  seconds: z.number().int().optional(),
  isRemembered: z.boolean().optional(),
})

export const login = defineEvent({
  type: 'login.attempted',
  aggregateType: 'user',
  aggregateField: 'userId',
  timestamp: 'time',
  scored: { emits: 'login.judged', id: 'loginId', time: 'loginTimeMs', repeats: ['userId'] },
  versions: { 1: { schema: loginSchema } },
  current: loginSchema,
})

export const user = defineEntity({ name: 'user', keyFields: ['userId'], partitionKey: true })
export const device = defineEntity({ name: 'device', keyFields: ['deviceId'] })
export const deviceOnNetwork = defineEntity({ name: 'device_on_network', keyFields: ['deviceId', 'networkId'] })

export const logins = defineSource({
  name: 'login',
  event: login,
  columns: { attempts: 'attempts', seconds: 'seconds', device: 'deviceId' },
})

export const userLogins = defineView({
  name: 'user_logins',
  version: 1,
  entity: user,
  aggregates: [count(logins), sum(logins, 'attempts'), mean(logins, 'seconds'), distinct(logins, 'device', { cap: 8 })],
  windows: ['1d'],
  hop: '1m',
})
export const deviceLogins = defineView({
  name: 'device_logins',
  version: 1,
  entity: device,
  aggregates: [count(logins)],
  windows: ['1d'],
  hop: '1m',
})
export const pairLogins = defineView({
  name: 'pair_logins',
  version: 1,
  entity: deviceOnNetwork,
  aggregates: [count(logins)],
  windows: ['1d'],
  hop: '1m',
})

export const visits: FeatureSet = {
  events: [login],
  entities: [user, device, deviceOnNetwork],
  views: [userLogins, deviceLogins, pairLogins],
  derived: [],
  services: [defineService({ name: 'usual', vector: [userLogins.feature('login_count_1d')] })],
}

const profileSchema = z.object({
  userId: z.string(),
  plan: z.string(),
  isVerified: z.boolean(),
  quota: z.number().int().optional(),
})

/** Event-carried state: what is so from now on. */
export const profileChanged = defineEvent({
  type: 'user.profile_changed',
  aggregateType: 'user',
  aggregateField: 'userId',
  timestamp: 'time',
  versions: { 1: { schema: profileSchema } },
  current: profileSchema,
})

export const profiles = defineSource({
  name: 'profile',
  event: profileChanged,
  columns: {
    quota: 'quota',
    plan: category('plan', 'free', 'team'),
    verified: category('isVerified', false, true),
  },
})

export const userProfile = defineView({
  name: 'user_profile',
  version: 1,
  entity: user,
  aggregates: [last(profiles, 'quota'), last(profiles, 'plan'), last(profiles, 'verified')],
  windows: ['lifetime'],
  hop: '1s',
})
