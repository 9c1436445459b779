import { defineFeatureSet, defineService } from '../src/define/feature-set.ts'
import * as derived from './derived.ts'
import { customer, terminal } from './entities.ts'
import { customerProfileChanged, fraudReported, paymentInitiated } from './sources.ts'
import { customerSpend, terminalActivity, terminalRisk } from './views.ts'

const { customer1d, customer7d, customer30d, risk1d, risk7d, risk30d } = derived

/** The fifteen inputs of the Fraud Detection Handbook, then what else the shipped model looks at. */
export const fraudService = defineService({
  name: 'fraud_v1',
  vector: [
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
    derived.amountToMean30d,
    derived.shareOfDay,
    derived.firstIn30d,
    terminalRisk.feature('fraud_count_7d'),
    customerSpend.feature('payment_count_5m'),
    customerSpend.feature('payment_count_1h'),
    customerSpend.feature('amount_sum_1h'),
    terminalActivity.feature('payment_count_1h'),
    terminalActivity.feature('payment_count_1d'),
  ],
})

export const riverbank = defineFeatureSet({
  events: [paymentInitiated, fraudReported, customerProfileChanged],
  scored: paymentInitiated.type,
  entities: [customer, terminal],
  views: [customerSpend, terminalActivity, terminalRisk],
  derived: [
    derived.amount,
    derived.weekend,
    derived.night,
    customer1d.count,
    customer1d.mean,
    customer7d.count,
    customer7d.mean,
    customer30d.count,
    customer30d.mean,
    risk1d,
    risk7d,
    risk30d,
    derived.amountToMean30d,
    derived.firstIn30d,
    derived.shareOfDay,
  ],
  services: [fraudService],
})
