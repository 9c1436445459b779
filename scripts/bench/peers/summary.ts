import type { Agreement } from './agreement.ts'
import type { Contestant } from './contestant.ts'
import { lastPart, metricOf } from './stream.ts'
import type { Measurement } from '../measurement.ts'

/** One row for each contestant, of medians. */
export function summaryOf(
  contestants: readonly Contestant[],
  measurements: readonly Measurement[],
  agreements: readonly Agreement[],
): Record<string, string | number>[] {
  return contestants.map((contestant) => {
    const median = (name: string, unit: string) => {
      const wanted = metricOf(contestant, name, unit).name
      return measurements.find((measurement) => measurement.name === wanted)?.median ?? NaN
    }
    const roles = [...contestant.pids().keys()]
    const sum = (numbers: readonly number[]) => Math.round(numbers.reduce((all, number) => all + number, 0))
    const records = contestant.outputs.map(({ topic }) => median(`records out, ${lastPart(topic)}`, 'records'))
    const checked = agreements.filter((agreement) => agreement.contestant === contestant.name)
    return {
      contestant: contestant.name,
      'payments/s': Math.round(median('rate', 'payments/s')),
      'own µs/payment': sum(roles.map((role) => median(`processor time, ${role}`, 'µs/payment'))),
      'broker µs/payment': sum([median('processor time, broker', 'µs/payment')]),
      MB: sum(roles.map((role) => median(`resident, ${role}`, 'MB'))),
      features: contestant.features,
      'payments in': median('payments in', 'payments'),
      'records out': records.join(' + '),
      'values equal': checked.length === 0 ? '' : `${sum(checked.map(equalOf))} of ${sum(checked.map(comparedOf))}`,
    }
  })
}

const equalOf = ({ equal }: Agreement) => equal
const comparedOf = ({ compared }: Agreement) => compared
