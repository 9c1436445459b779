import {
  count,
  distinct,
  mean,
  rate,
  run,
  secondsSinceFirst,
  secondsSinceLast,
  stddev,
  sum,
} from '../src/define/aggregate.ts'
import { measure } from '../src/define/reason.ts'
import { defineSource } from '../src/define/source.ts'
import { defineView } from '../src/define/view.ts'
import { minorDigits } from './currency.ts'
import { customer, customerTerminal, terminal } from './entities.ts'
import { defaultSettings } from './settings.ts'
import { fraudReported, paymentInitiated } from './sources.ts'

export const payments = defineSource({
  name: 'payment',
  event: paymentInitiated,
  columns: { amount: 'amountMinor', terminal: 'terminalId' },
})
export const frauds = defineSource({ name: 'fraud', event: fraudReported, columns: { amount: 'amountMinor' } })

/** How much and how often a customer pays; reasons spell amounts with the digits of the currency. */
export function customerSpendIn(currency: string) {
  const amount = { unit: 'minor_units', digits: minorDigits(currency) } as const
  return defineView({
    name: 'customer_spend',
    version: 1,
    entity: customer,
    aggregates: [count(payments), sum(payments, 'amount'), mean(payments, 'amount')],
    windows: ['5m', '1h', '1d', '7d', '30d'],
    hop: '1s',
    reasons: {
      payment_count: measure('{value} payment{s} of the customer in {window}'),
      amount_sum: measure('{value} spent by the customer in {window}', amount),
      amount_mean: measure('payments of {value} on average in {window}', amount),
    },
  })
}

export const customerSpend = customerSpendIn(defaultSettings.CURRENCY)

/** A customer's habits: how much the amounts vary, and when the last payment was. */
export const customerHabits = defineView({
  name: 'customer_habits',
  version: 1,
  entity: customer,
  aggregates: [stddev(payments, 'amount'), secondsSinceLast(payments)],
  windows: ['30d'],
  hop: '1s',
})

/** At how many terminals a customer pays. */
export const customerReach = defineView({
  name: 'customer_reach',
  version: 1,
  entity: customer,
  aggregates: [distinct(payments, 'terminal', { cap: 64 })],
  windows: ['1d', '7d'],
  hop: '1s',
  reasons: { terminal_distinct: measure('payments at {value} terminal{s} in {window}') },
})

/** How busy a terminal is now. */
export const terminalActivity = defineView({
  name: 'terminal_activity',
  version: 1,
  entity: terminal,
  aggregates: [count(payments)],
  windows: ['1h', '1d'],
  hop: '1s',
  reasons: { payment_count: measure('{value} payment{s} at the terminal in {window}') },
})

/** Payments at a terminal and the frauds among them, as far as known a week later. */
export const terminalRisk = defineView({
  name: 'terminal_risk',
  version: 1,
  entity: terminal,
  aggregates: [count(payments), count(frauds), rate(frauds, payments)],
  windows: ['1d', '7d', '30d'],
  hop: '1s',
  delay: '7d',
  reasons: {
    payment_count: measure('{value} payment{s} at the terminal in {window}, a week ago'),
    fraud_count: measure('{value} fraud{s} at the terminal in {window}, a week ago'),
    fraud_rate: measure("{value} of the terminal's payments were fraud in {window}, a week ago", { unit: 'share' }),
  },
})

/** The same frauds over more windows: how a terminal's trouble grew and faded. */
export const terminalFrauds = defineView({
  name: 'terminal_frauds',
  version: 1,
  entity: terminal,
  aggregates: [count(frauds)],
  windows: ['3d', '14d', '21d', '28d'],
  hop: '1s',
  delay: '7d',
  reasons: { fraud_count: measure('{value} fraud{s} at the terminal in {window}, a week ago') },
})

/** The newest payments whose label is known: when they were, and how many of them in a row were fraud. */
export const terminalLabels = defineView({
  name: 'terminal_labels',
  version: 1,
  entity: terminal,
  aggregates: [secondsSinceLast(payments), secondsSinceLast(frauds), run(frauds, payments)],
  windows: ['30d'],
  hop: '1s',
  delay: '7d',
  reasons: { fraud_run: measure('{value} fraud{s} in a row at the terminal, a week ago') },
})

/** Has this customer paid here before? */
export const customerAtTerminal = defineView({
  name: 'customer_at_terminal',
  version: 1,
  entity: customerTerminal,
  aggregates: [count(payments), secondsSinceFirst(payments)],
  windows: ['lifetime'],
  hop: '1h',
})
