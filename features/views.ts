import { count, mean, rate, sum } from '../src/define/aggregate.ts'
import { defineSource } from '../src/define/source.ts'
import { defineView } from '../src/define/view.ts'
import { customer, terminal } from './entities.ts'
import { fraudReported, paymentInitiated } from './sources.ts'

export const payments = defineSource({ name: 'payment', event: paymentInitiated, columns: { amount: 'amountMinor' } })
export const frauds = defineSource({ name: 'fraud', event: fraudReported, columns: { amount: 'amountMinor' } })

/** How much and how often a customer pays. */
export const customerSpend = defineView({
  name: 'customer_spend',
  version: 1,
  entity: customer,
  aggregates: [count(payments), sum(payments, 'amount'), mean(payments, 'amount')],
  windows: ['5m', '1h', '1d', '7d', '30d'],
  hop: '1s',
})

/** How busy a terminal is now. */
export const terminalActivity = defineView({
  name: 'terminal_activity',
  version: 1,
  entity: terminal,
  aggregates: [count(payments)],
  windows: ['1h', '1d'],
  hop: '1s',
})

/** How much of what happened at a terminal turned out to be fraud, as far as it is known a week later. */
export const terminalRisk = defineView({
  name: 'terminal_risk',
  version: 1,
  entity: terminal,
  aggregates: [count(payments), count(frauds), rate(frauds, payments)],
  windows: ['1d', '7d', '30d'],
  hop: '1s',
  delay: '7d',
})
