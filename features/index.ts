import { defineService, type FeatureSet } from '../src/define/feature-set.ts'
import { defineFeatureSet } from '../src/define/define-feature-set.ts'
import { defineProject } from '../src/define/project.ts'
import * as derived from './derived.ts'
import { customer, customerTerminal, terminal } from './entities.ts'
import { defaultSettings, featureSettings, type FeatureSettings } from './settings.ts'
import { paymentSimulator } from './simulator/payment-simulator.ts'
import { customerProfileChanged, paymentEvents } from './sources.ts'
import {
  customerAtTerminal,
  customerHabits,
  customerReach,
  customerSpend,
  customerSpendIn,
  terminalActivity,
  terminalFrauds,
  terminalLabels,
  terminalRisk,
} from './views.ts'

const { customer1d, customer7d, customer30d, risk1d, risk7d, risk30d } = derived

/** The fifteen inputs of the Fraud Detection Handbook. */
const handbook = [
  derived.amount,
  derived.weekend,
  derived.night,
  customer1d.count,
  customer1d.mean,
  customer7d.count,
  customer7d.mean,
  customer30d.count,
  customer30d.mean,
  terminalRisk.feature('payment_count_1d'),
  risk1d,
  terminalRisk.feature('payment_count_7d'),
  risk7d,
  terminalRisk.feature('payment_count_30d'),
  risk30d,
] as const

/** The further inputs of the first model. */
const behaviour = [
  derived.amountToMean30d,
  derived.shareOfDay,
  derived.firstIn30d,
  terminalRisk.feature('fraud_count_7d'),
  customerSpend.feature('payment_count_5m'),
  customerSpend.feature('payment_count_1h'),
  customerSpend.feature('amount_sum_1h'),
  terminalActivity.feature('payment_count_1h'),
  terminalActivity.feature('payment_count_1d'),
] as const

export const fraudService = defineService({ name: 'fraud_v1', vector: [...handbook, ...behaviour] })

/** Adds what fraud analysts ask: how unusual, how fast, how new, and what is known of the terminal. */
export const fraudService2 = defineService({
  name: 'fraud_v2',
  vector: [
    ...handbook,
    ...behaviour,
    derived.amountZScore30d,
    derived.velocity5m,
    derived.secondsSincePayment,
    customerReach.feature('terminal_distinct_1d'),
    customerReach.feature('terminal_distinct_7d'),
    derived.firstHere,
    terminalRisk.feature('fraud_count_1d'),
    terminalFrauds.feature('fraud_count_3d'),
    terminalFrauds.feature('fraud_count_14d'),
    terminalFrauds.feature('fraud_count_21d'),
    terminalFrauds.feature('fraud_count_28d'),
    terminalRisk.feature('fraud_count_30d'),
    derived.lastLabel,
    terminalLabels.feature('fraud_run_30d'),
  ],
})

/** The definitions of one installation. */
export function paymentFeatures({ CURRENCY }: FeatureSettings): FeatureSet {
  const events = paymentEvents(CURRENCY)
  const amounts = derived.amountsIn(CURRENCY)
  return defineFeatureSet({
    events: [...Object.values(events), customerProfileChanged],
    entities: [customer, terminal, customerTerminal],
    views: [
      customerSpendIn(CURRENCY),
      customerHabits,
      customerReach,
      terminalActivity,
      terminalRisk,
      terminalFrauds,
      terminalLabels,
      customerAtTerminal,
    ],
    derived: [
      amounts.amount,
      derived.weekend,
      derived.night,
      amounts.customer1d.count,
      amounts.customer1d.mean,
      amounts.customer7d.count,
      amounts.customer7d.mean,
      amounts.customer30d.count,
      amounts.customer30d.mean,
      risk1d,
      risk7d,
      risk30d,
      derived.amountToMean30d,
      derived.firstIn30d,
      derived.shareOfDay,
      derived.amountZScore30d,
      derived.velocity5m,
      derived.secondsSincePayment,
      derived.firstHere,
      derived.lastLabel,
    ],
    services: [fraudService, fraudService2],
  })
}

/** The committed definitions, which the models that come with them know. */
export const riverbank = paymentFeatures(defaultSettings)

/** Payments and their frauds. */
export const payments = defineProject({
  name: 'payments',
  settings: featureSettings,
  features: paymentFeatures,
  samples: { entity: { name: customer.name, id: '596' }, scored: 'payments' },
  simulate: paymentSimulator,
})
