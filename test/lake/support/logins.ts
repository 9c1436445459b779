import { z } from 'zod'
import { count, max } from '../../../src/define/aggregate.ts'
import { defineEntity } from '../../../src/define/entity.ts'
import { eventId } from '../../../src/define/event-id.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { coalesce, eventField, multiply, subtract } from '../../../src/define/expression.ts'
import { defineDerived, defineService } from '../../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../../src/define/define-feature-set.ts'
import { defineSource } from '../../../src/define/source.ts'
import { defineView } from '../../../src/define/view.ts'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { encodeEvent, type EventCatalog, type EventType } from '../../../src/events/event.ts'
import { lakeSchema } from '../../../src/lake/tables/derive-lake-schema.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import { runWith, type Sent } from '../verify/support/runner.ts'

/** A project that has nothing to do with payments: accounts log in on devices, and some are taken over. */

const attemptV1 = z.object({ accountId: z.string(), deviceId: z.string(), succeeded: z.boolean() })
const attempt = attemptV1.extend({
  country: z.enum(['DE', 'FR']).optional(),
  delayMs: z.number().int().nullable(),
  distance: z.number().optional(),
  /** Also the name of a column of the envelope. */
  source: z.string().optional(),
  tags: z.array(z.string()).optional(),
})

export const loginAttempted = defineEvent({
  type: 'login.attempted',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'time',
  scored: {
    emits: 'login.scored',
    id: 'loginId',
    time: 'loginTimeMs',
    repeats: ['deviceId', 'accountId', 'succeeded', 'country', 'distance', 'source', 'tags'],
  },
  view: 'logins',
  versions: {
    1: { schema: attemptV1, upcast: (old: z.infer<typeof attemptV1>) => ({ ...old, delayMs: null }) },
    2: { schema: attempt },
  },
  current: attempt,
})

const takeover = z.object({
  login: eventId,
  accountId: z.string(),
  deviceId: z.string(),
  worked: z.boolean(),
  country: z.enum(['DE', 'FR']).optional(),
  loginTimeMs: z.number().int(),
  channel: z.enum(['phone', 'mail']),
})

function labelOfLogin<Type extends string>(type: Type, outcome: { readonly withdraws?: true }) {
  return defineEvent({
    type,
    aggregateType: 'account',
    aggregateField: 'accountId',
    timestamp: 'loginTimeMs',
    label: {
      of: loginAttempted,
      subject: 'login',
      repeats: {
        accountId: 'accountId',
        deviceId: 'deviceId',
        worked: 'succeeded',
        country: 'country',
        loginTimeMs: 'time',
      },
      kind: 'channel',
      ...outcome,
    },
    versions: { 1: { schema: takeover } },
    current: takeover,
  })
}
export const takeoverReported = labelOfLogin('takeover.reported', {})
export const takeoverWithdrawn = labelOfLogin('takeover.withdrawn', { withdraws: true })

const created = z.object({ accountId: z.string(), createdAtMs: z.number().int(), premium: z.boolean() })
export const accountCreated = defineEvent({
  type: 'account.created',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'createdAtMs',
  versions: { 1: { schema: created } },
  current: created,
})

export const account = defineEntity({ name: 'account', keyFields: ['accountId'], partitionKey: true })
export const device = defineEntity({ name: 'device', keyFields: ['deviceId'] })

const logins = defineSource({ name: 'login', event: loginAttempted, columns: {} })
const failed = defineSource({
  name: 'failure',
  event: loginAttempted,
  columns: {},
  where: [{ field: 'succeeded', is: '==', value: false }],
})
const abroad = defineSource({
  name: 'login_abroad',
  event: loginAttempted,
  columns: {},
  where: [{ field: 'country', is: '!=', value: 'DE' }],
})
const creations = defineSource({ name: 'creation', event: accountCreated, columns: { at: 'createdAtMs' } })
const takeovers = defineSource({ name: 'takeover', event: takeoverReported, columns: {} })

export const accountLogins = defineView({
  name: 'account_logins',
  version: 1,
  entity: account,
  aggregates: [count(logins), count(failed), count(abroad), max(creations, 'at')],
  windows: ['1h', '30d'],
  hop: '1s',
})
export const deviceTakeovers = defineView({
  name: 'device_takeovers',
  version: 1,
  entity: device,
  aggregates: [count(failed), count(takeovers)],
  windows: ['30d'],
  hop: '1h',
})

/** Reads what a score repeats of its event, and what it does not. */
const slowFailure = defineDerived(
  'slow_failure',
  'how long a login took that did not succeed',
  multiply(subtract(1, eventField(loginAttempted, 'succeeded')), coalesce(eventField(loginAttempted, 'delayMs'), 7)),
)

export const set = defineFeatureSet({
  events: [loginAttempted, takeoverReported, takeoverWithdrawn, accountCreated],
  entities: [account, device],
  views: [accountLogins, deviceTakeovers],
  derived: [slowFailure],
  services: [
    defineService({
      name: 'takeover_v1',
      vector: [
        accountLogins.feature('login_count_1h'),
        accountLogins.feature('failure_count_30d'),
        deviceTakeovers.feature('takeover_count_30d'),
      ],
    }),
  ],
})

export const catalogOf = (events: readonly EventType[]): EventCatalog => new Map(events.map((one) => [one.type, one]))
export const catalog = catalogOf(set.events)
export const manifest = compileManifest(set)
export const plan = compilePlan(set)
export const schema = lakeSchema({ catalog, manifest })

/** The more of everything, the worse. */
export const scorer: Scorer = {
  name: 'sum',
  version: '1',
  service: 'takeover_v1',
  thresholds: { review: 0.5, block: 0.9 },
  score(vectors, rows) {
    const width = vectors.length / Math.max(1, rows)
    const sums = Float32Array.from({ length: rows }, (_, row) => {
      const sum = vectors.slice(row * width, (row + 1) * width).reduce((total, value) => total + value, 0)
      return sum / (sum + 5)
    })
    return Promise.resolve(sums)
  },
  close: () => Promise.resolve(),
}

export function event(type: EventType, id: string, timeMs: number, accountId: string, data: object): Sent {
  const text = encodeEvent({
    eventId: id,
    eventType: type.type,
    timestamp: timeMs,
    aggregateId: accountId,
    aggregateType: 'account',
    version: type.currentVersion,
    data: { accountId, ...data },
    metadata: { source: 'urn:test' },
  })
  return { partition: Number(accountId.slice(1)) % 2, text, appendTimeMs: timeMs }
}

export function run(sent: readonly Sent[]) {
  return runWith({ plan, catalog, manifest }, new Map([['login.attempted', { champion: scorer, shadows: [] }]]), sent)
}
