import {
  add,
  coalesce,
  dayOfWeek,
  divide,
  equal,
  eventField,
  eventTime,
  hourOfDay,
  includingThisEvent,
  lessOrEqual,
  modulo,
  ratio,
  zScore,
} from '../src/define/expression.ts'
import { defineDerived } from '../src/define/feature-set.ts'
import { condition, measure } from '../src/define/reason.ts'
import { minorDigits, minorUnits } from './currency.ts'
import { defaultSettings } from './settings.ts'
import { paymentInitiated } from './sources.ts'
import { customerAtTerminal, customerHabits, customerSpend, terminalLabels, terminalRisk } from './views.ts'

const amountMinor = eventField(paymentInitiated, 'amountMinor')

export const weekend = defineDerived(
  'weekend',
  '1 on Saturday and Sunday (UTC)',
  // Sunday is 0 and Saturday 6: one day later they are 1 and 0 modulo 7.
  lessOrEqual(modulo(add(dayOfWeek(eventTime), 1), 7), 1),
  condition({ yes: 'a payment at the weekend (UTC)', no: 'a payment on a working day (UTC)' }),
)

export const night = defineDerived(
  'night',
  '1 until 06:59 (UTC)',
  lessOrEqual(hourOfDay(eventTime), 6),
  condition({ yes: 'a payment before 07:00 (UTC)', no: 'a payment from 07:00 on (UTC)' }),
)

/** Lengths of windows in words, for reasons. */
const lengths = { '1d': 'a day', '7d': '7 days', '30d': '30 days' } as const

function withThisPayment(window: '1d' | '7d' | '30d', currency: string) {
  const { count, mean } = includingThisEvent(
    customerSpend.feature(`payment_count_${window}`),
    customerSpend.feature(`amount_sum_${window}`),
    amountMinor,
  )
  return {
    count: defineDerived(
      `customer_payments_${window}`,
      `payments in ${window}, this one included`,
      count,
      measure(`{value} payment{s} of the customer in ${lengths[window]}, this one included`),
    ),
    mean: defineDerived(
      `customer_mean_amount_${window}`,
      `mean amount in ${window}, this payment included, in units of its currency`,
      divide(mean, minorUnits(currency)),
      measure(`payments of {value} on average in ${lengths[window]}, this one included`, {
        unit: 'amount',
        digits: minorDigits(currency),
      }),
    ),
  }
}

/** Amounts in units of the currency, not in minor ones. */
export function amountsIn(currency: string) {
  return {
    amount: defineDerived(
      'amount',
      'the payment, in units of its currency',
      divide(amountMinor, minorUnits(currency)),
      measure('a payment of {value}', { unit: 'amount', digits: minorDigits(currency) }),
    ),
    customer1d: withThisPayment('1d', currency),
    customer7d: withThisPayment('7d', currency),
    customer30d: withThisPayment('30d', currency),
  }
}

/** Services name these features, whose names are the same in all currencies. */
export const { amount, customer1d, customer7d, customer30d } = amountsIn(defaultSettings.CURRENCY)

function riskOrZero(window: '1d' | '7d' | '30d') {
  return defineDerived(
    `terminal_risk_${window}`,
    `share of the terminal's payments in ${window}, a week ago, that were fraud; 0 where there were none`,
    coalesce(terminalRisk.feature(`fraud_rate_${window}`), 0),
    measure(`{value} of the terminal's payments were fraud in ${lengths[window]}, a week ago`, { unit: 'share' }),
  )
}

export const risk1d = riskOrZero('1d')
export const risk7d = riskOrZero('7d')
export const risk30d = riskOrZero('30d')

export const amountToMean30d = defineDerived(
  'amount_to_mean_30d',
  "the payment as a multiple of the customer's mean over the 30 days before it; 1 for a first payment",
  coalesce(ratio(amountMinor, customerSpend.feature('amount_mean_30d')), 1),
  measure("{value} the customer's mean amount over 30 days", { unit: 'times' }),
)

export const firstIn30d = defineDerived(
  'first_in_30d',
  '1 when the customer paid nothing in the 30 days before',
  equal(customerSpend.feature('payment_count_30d'), 0),
  condition({
    yes: 'the first payment of the customer in 30 days',
    no: 'not the first payment of the customer in 30 days',
  }),
)

export const shareOfDay = defineDerived(
  'amount_share_1d',
  "the payment's share of what the customer spent in a day, itself included",
  coalesce(ratio(amountMinor, add(customerSpend.feature('amount_sum_1d'), amountMinor)), 0),
  measure('{value} of what the customer spent in a day', { unit: 'share' }),
)

export const amountZScore30d = defineDerived(
  'amount_z_score_30d',
  "how many standard deviations the payment is from the customer's mean over the 30 days before it; 0 where unknown",
  coalesce(
    zScore(amountMinor, customerSpend.feature('amount_mean_30d'), customerHabits.feature('amount_stddev_30d')),
    0,
  ),
  measure("{value} standard deviations from the customer's mean amount over 30 days"),
)

export const velocity5m = defineDerived(
  'velocity_5m',
  'payments of the customer in 5 minutes, this one included',
  add(customerSpend.feature('payment_count_5m'), 1),
  measure('{value} payment{s} of the customer in 5 minutes, this one included'),
)

/** The longest the view looks back. */
const neverSeconds = 30 * 86_400
export const secondsSincePayment = defineDerived(
  'seconds_since_payment',
  "from the customer's last payment to this one; 30 days where there was none",
  coalesce(customerHabits.feature('payment_seconds_since_last_30d'), neverSeconds),
  measure("{value} after the customer's last payment", { unit: 'seconds' }),
)

export const firstHere = defineDerived(
  'first_here',
  '1 when the customer never paid at this terminal before',
  equal(customerAtTerminal.feature('payment_count_lifetime'), 0),
  condition({
    yes: 'the first payment of the customer at this terminal',
    no: 'not the first payment of the customer at this terminal',
  }),
)

export const lastLabel = defineDerived(
  'terminal_last_label',
  "1 when the terminal's newest payment with a known label was fraud; 0 when it was not, or there was none",
  equal(
    coalesce(terminalLabels.feature('payment_seconds_since_last_30d'), -1),
    coalesce(terminalLabels.feature('fraud_seconds_since_last_30d'), -2),
  ),
  condition({
    yes: "the terminal's newest payment with a known outcome was fraud",
    no: "the terminal's newest payment with a known outcome was none",
  }),
)
