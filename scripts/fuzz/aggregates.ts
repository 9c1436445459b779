import {
  count,
  distinct,
  first,
  last,
  lastK,
  max,
  mean,
  min,
  rate,
  run,
  secondsSinceFirst,
  secondsSinceLast,
  stddev,
  sum,
  type Aggregate,
} from '../../src/define/aggregate.ts'
import { category, defineSource, type Source } from '../../src/define/source.ts'
import type { RandomRecipe } from './definitions.ts'
import { cleared, disputed, flagged, payment, refund, settled } from './events.ts'

const paid = defineSource({
  name: 'paid',
  event: payment,
  columns: {
    ...({ amount: 'amount', items: 'items', shop: 'terminalId' } as const),
    kind: category('kind', 'cash', 'card'),
    online: category('online', false, true),
    // Some values of a field that an event may lack.
    rent: category('note', 'rent'),
  },
})
const refunded = defineSource({ name: 'refunded', event: refund, columns: { amount: 'amount' } })

/** Every aggregate that a recipe may name. */
export function aggregatesOf(recipe: RandomRecipe) {
  const columns = { amount: 'amount', items: 'items' } as const
  const large = defineSource({ name: 'large', event: payment, columns, where: recipe.large })
  const flags = defineSource({
    name: 'flagged',
    event: flagged,
    columns: { loss: 'loss', reason: 'reason', flagged_amount: 'amount' },
  })
  return {
    ofPayments: ofPayments(recipe, large),
    ofRefunds: ofRefunds(),
    ofFlags: ofFlags(recipe, flags),
    runs: { refunded: run(refunded, paid), large: run(large, paid), flagged: run(flags, paid) },
  }
}

function ofPayments({ lastK: k, caps }: RandomRecipe, large: Source<string, 'amount' | 'items'>): readonly Aggregate[] {
  return [
    count(paid),
    sum(paid, 'amount'),
    mean(paid, 'amount'),
    sum(large, 'items'),
    mean(large, 'items'),
    count(large),
    rate(large, paid),
    min(paid, 'items'),
    max(large, 'items'),
    stddev(paid, 'amount'),
    stddev(large, 'items'),
    first(paid, 'items'),
    last(large, 'items'),
    ...lastK(paid, 'amount', k),
    distinct(paid, 'shop', { cap: caps.shop }),
    distinct(large, 'items', { cap: caps.items }),
    secondsSinceFirst(large),
    secondsSinceLast(paid),
    last(paid, 'kind'),
    first(paid, 'rent'),
    mean(paid, 'online'),
    stddev(paid, 'kind'),
    max(paid, 'rent'),
    distinct(paid, 'kind', { cap: caps.items }),
  ]
}

function ofFlags(
  { bad, lastK: k, caps }: RandomRecipe,
  flags: Source<string, 'loss' | 'flagged_amount', 'reason'>,
): readonly Aggregate[] {
  const worse = defineSource({ name: 'worse', event: flagged, columns: { bad_loss: 'loss' }, where: bad })
  const clear = defineSource({ name: 'cleared', event: cleared, columns: {} })
  return [
    count(flags),
    count(worse),
    count(clear),
    rate(flags, paid),
    rate(worse, flags),
    sum(flags, 'flagged_amount'),
    stddev(flags, 'loss'),
    min(flags, 'loss'),
    max(worse, 'bad_loss'),
    first(worse, 'bad_loss'),
    ...lastK(flags, 'loss', k),
    distinct(flags, 'reason', { cap: caps.items }),
    secondsSinceFirst(worse),
    secondsSinceLast(flags),
  ]
}

/** Only customers have aggregates of refunds: a refund names no terminal. */
function ofRefunds(): readonly Aggregate[] {
  const disputes = defineSource({ name: 'disputed', event: disputed, columns: { disputed_loss: 'loss' } })
  const settlements = defineSource({ name: 'settled', event: settled, columns: {} })
  return [
    count(refunded),
    rate(refunded, paid),
    secondsSinceLast(refunded),
    count(disputes),
    count(settlements),
    rate(disputes, refunded),
    max(disputes, 'disputed_loss'),
    secondsSinceLast(disputes),
  ]
}
