import type { SimulatedHistory, Simulator, SimulatorChoice, SimulatorOption } from '../../src/define/simulator.ts'
import type { FeatureSettings } from '../settings.ts'
import { canonicalLines } from './canonical-lines.ts'
import { history, historyLength, pendingLabels } from './history.ts'
import { liveTraffic } from './live-traffic.ts'
import { datasetEpochMs, isLabel } from './payment-events.ts'
import { generatePayments, paymentsFromDay, worldOf, type PaymentColumns } from './payments.ts'
import { generatePopulation, publishedWorld, type WorldOptions } from './population.ts'

const dayMs = 86_400_000
const most = Number.MAX_SAFE_INTEGER

const options: Readonly<Record<keyof WorldOptions, SimulatorOption>> = {
  customers: { about: 'size of the world', byDefault: publishedWorld.customers, min: 1, max: most },
  terminals: { about: 'size of the world', byDefault: publishedWorld.terminals, min: 1, max: most },
  days: { about: 'length of the world', byDefault: publishedWorld.days, min: 1, max: most },
  radius: { about: 'how far customers go', byDefault: publishedWorld.radius, min: 1, max: most },
  seedOffset: { about: 'another world of the same kind', byDefault: publishedWorld.seedOffset, min: 0, max: most },
}

/** The payments of the Fraud Detection Handbook, in the currency of the installation. */
export function paymentSimulator({ CURRENCY: currency }: FeatureSettings): Simulator {
  return {
    about: '5,000 customers pay at 10,000 terminals for 183 days, and some cheat',
    epochMs: datasetEpochMs,
    labelDelayMs: 7 * dayMs,
    days: (choice) => worldIn(choice).days,
    options,
    draw: ({ choice, ...range }) => drawn(generatePayments({ ...worldIn(choice), ...range }), currency),
    live({ choice, limit, pending, ...request }) {
      const world = worldIn(choice)
      return liveTraffic({
        ...request,
        ...{ world, population: generatePopulation(world), currency, pending: pending.filter(isLabel) },
        ...(limit === undefined ? {} : { payments: limit }),
      })
    },
  }
}

const worldIn = (choice: SimulatorChoice): WorldOptions => worldOf(choice)

function drawn(columns: PaymentColumns, currency: string): SimulatedHistory {
  return {
    scored: columns.length,
    endMs: columns.endSecond * 1_000,
    fromDay: (day) => drawn(paymentsFromDay(columns, day), currency),
    placed(place) {
      const placed = { ...place, currency }
      return {
        labels: historyLength(columns, placed) - columns.length,
        events: history(columns, placed),
        pending: pendingLabels(columns, placed),
      }
    },
    lines: () => canonicalLines(columns),
  }
}
