import {
  add,
  coalesce,
  dayOfWeek,
  divide,
  equal,
  hourOfDay,
  lessOrEqual,
  modulo,
  ratio,
  request,
} from '../src/define/expression.ts'
import { defineDerived } from '../src/define/feature-set.ts'
import { customerSpend, terminalRisk } from './views.ts'

const amountMinor = request('amountMinor')
const time = request('timeMs')

export const amount = defineDerived('amount', 'the payment, in units of its currency', divide(amountMinor, 100))

export const weekend = defineDerived(
  'weekend',
  '1 on Saturday and Sunday (UTC)',
  // Sunday is 0 and Saturday 6: one day later they are 1 and 0 modulo 7.
  lessOrEqual(modulo(add(dayOfWeek(time), 1), 7), 1),
)

export const night = defineDerived('night', '1 until 06:59 (UTC)', lessOrEqual(hourOfDay(time), 6))

/** A window's count and mean with the payment itself, which the window by definition has not seen. */
function withThisPayment(window: '1d' | '7d' | '30d') {
  const counted = add(customerSpend.feature(`payment_count_${window}`), 1)
  const spent = add(customerSpend.feature(`amount_sum_${window}`), amountMinor)
  return {
    count: defineDerived(`customer_payments_${window}`, `payments in ${window}, this one included`, counted),
    mean: defineDerived(
      `customer_mean_amount_${window}`,
      `mean amount in ${window}, this payment included, in units of its currency`,
      divide(coalesce(ratio(spent, counted), 0), 100),
    ),
  }
}

export const customer1d = withThisPayment('1d')
export const customer7d = withThisPayment('7d')
export const customer30d = withThisPayment('30d')

function riskOrZero(window: '1d' | '7d' | '30d') {
  return defineDerived(
    `terminal_risk_${window}`,
    `share of the terminal's payments in ${window}, a week ago, that were fraud; 0 where there were none`,
    coalesce(terminalRisk.feature(`fraud_rate_${window}`), 0),
  )
}

export const risk1d = riskOrZero('1d')
export const risk7d = riskOrZero('7d')
export const risk30d = riskOrZero('30d')

export const amountToMean30d = defineDerived(
  'amount_to_mean_30d',
  "the payment as a multiple of the customer's mean over the 30 days before it; 1 for a first payment",
  coalesce(ratio(amountMinor, customerSpend.feature('amount_mean_30d')), 1),
)

export const firstIn30d = defineDerived(
  'first_in_30d',
  '1 when the customer paid nothing in the 30 days before',
  equal(customerSpend.feature('payment_count_30d'), 0),
)

export const shareOfDay = defineDerived(
  'amount_share_1d',
  "the payment's share of what the customer spent in a day, itself included",
  coalesce(ratio(amountMinor, add(customerSpend.feature('amount_sum_1d'), amountMinor)), 0),
)
