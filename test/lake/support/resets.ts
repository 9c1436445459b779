import { z } from 'zod'
import { count } from '../../../src/define/aggregate.ts'
import { eventId } from '../../../src/define/event-id.ts'
import { defineEvent } from '../../../src/define/event-type.ts'
import { coalesce, eventField } from '../../../src/define/expression.ts'
import { defineDerived, defineService } from '../../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../../src/define/define-feature-set.ts'
import { defineSource } from '../../../src/define/source.ts'
import { defineView } from '../../../src/define/view.ts'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { scoredOfType } from '../../../src/lake/tables/lake-schema.ts'
import { lakeSchema } from '../../../src/lake/tables/derive-lake-schema.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import * as logins from './logins.ts'
import { runWith, type Sent } from '../verify/support/runner.ts'

/** The logins of {@link logins}, and a second type that is scored: somebody asks for another password. */

const asked = z.object({
  accountId: z.string(),
  deviceId: z.string(),
  via: z.enum(['sms', 'mail']),
  /** After the login that is named, where there was one. */
  afterMs: z.number().int().nullable(),
  /** The field that names the login in its score: here it is a field like any other. */
  loginId: eventId.optional(),
})

export const resetRequested = defineEvent({
  type: 'password.reset_requested',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'time',
  // The device makes the id of an entity, and is not repeated.
  scored: { emits: 'reset.scored', id: 'resetId', time: 'resetTimeMs', repeats: ['accountId', 'via', 'loginId'] },
  view: 'resets',
  versions: { 1: { schema: asked } },
  current: asked,
})

const disputed = z.object({
  /** Called as labels of logins call theirs. */
  login: eventId,
  accountId: z.string(),
  deviceId: z.string(),
  resetTimeMs: z.number().int(),
})
export const resetDisputed = defineEvent({
  type: 'reset.disputed',
  aggregateType: 'account',
  aggregateField: 'accountId',
  timestamp: 'resetTimeMs',
  label: {
    of: resetRequested,
    subject: 'login',
    repeats: { accountId: 'accountId', deviceId: 'deviceId', resetTimeMs: 'time' },
  },
  versions: { 1: { schema: disputed } },
  current: disputed,
})

const resets = defineSource({ name: 'reset', event: resetRequested, columns: {} })
const disputes = defineSource({ name: 'dispute', event: resetDisputed, columns: {} })
const view = { version: 1, windows: ['30d'] as const, hop: '1h' as const }
const accountResets = defineView({
  ...view,
  name: 'account_resets',
  entity: logins.account,
  aggregates: [count(resets)],
})
const deviceDisputes = defineView({
  ...{ ...view, name: 'device_disputes', entity: logins.device },
  aggregates: [count(disputes), count(resets)],
})

/** Not repeated, and not of a login. */
const afterLogin = defineDerived(
  'after_login',
  'how long after a login somebody asked',
  coalesce(eventField(resetRequested, 'afterMs'), -1),
)

export const set = defineFeatureSet({
  events: [...logins.set.events, resetRequested, resetDisputed],
  entities: logins.set.entities,
  views: [...logins.set.views, accountResets, deviceDisputes],
  derived: [...logins.set.derived, afterLogin],
  services: [
    defineService({
      name: 'takeover_v1',
      of: logins.loginAttempted,
      vector: [
        logins.accountLogins.feature('login_count_1h'),
        logins.accountLogins.feature('failure_count_30d'),
        logins.deviceTakeovers.feature('takeover_count_30d'),
      ],
    }),
    defineService({
      name: 'reset_v1',
      of: resetRequested,
      vector: [
        logins.accountLogins.feature('failure_count_30d'),
        accountResets.feature('reset_count_30d'),
        deviceDisputes.feature('dispute_count_30d'),
        afterLogin,
      ],
    }),
  ],
})

export const catalog = logins.catalogOf(set.events)
export const manifest = compileManifest(set)
export const plan = compilePlan(set)
export const schema = lakeSchema({ catalog, manifest })
export const ofLogins = scoredOfType(schema, 'login.attempted')
export const ofResets = scoredOfType(schema, 'password.reset_requested')

export const scorers: readonly Scorer[] = [
  logins.scorer,
  { ...logins.scorer, name: 'resets', service: 'reset_v1', thresholds: { review: 0.2, block: 0.7 } },
]

export function run(sent: readonly Sent[]) {
  const [champion, ofReset] = scorers as readonly [Scorer, Scorer]
  return runWith(
    { plan, catalog, manifest },
    new Map([
      ['login.attempted', { champion, shadows: [] }],
      ['password.reset_requested', { champion: ofReset, shadows: [] }],
    ]),
    sent,
  )
}
