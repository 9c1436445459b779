import { riverbank } from '../../features/index.ts'
import { compilePlan } from '../../src/compile/plan.ts'
import { createMemoryEngine } from '../../src/core/engine.ts'
import { assert } from '../../src/core/errors.ts'
import { durationMs } from '../../src/core/units.ts'
import { createAssembler } from '../../src/core/vector.ts'
import type { ColumnData } from '../../src/ports.ts'
import { history } from '../simulator/history.ts'
import { isPayment, type SimulatedEvent } from '../simulator/payment-events.ts'
import { generatePayments } from '../simulator/payments.ts'

export interface TrainingRowsOptions {
  /** First simulated day with rows; the days before only fill the windows. */
  readonly fromDay: number
  /** First day that is left out. */
  readonly toDay: number
  readonly service: string
  /** Called after each simulated day. */
  readonly progress: (day: number) => void
}

export interface TrainingRows {
  readonly rows: number
  readonly columns: readonly ColumnData[]
}

/**
 * Runs the simulated payments through the online engine, in time order, each fraud reported a week after its payment,
 * and keeps what a model would have been given: per payment the service's values before it, and whether it was fraud.
 */
export function trainingRows(options: TrainingRowsOptions): TrainingRows {
  const payments = generatePayments({ toDay: options.toDay })
  const { service, vectorOf } = vectorReader(options.service)
  const first = payments.day.findIndex((day) => day >= options.fromDay)
  const rows = payments.length - first
  const ids: string[] = []
  const customers: string[] = []
  const times = new Float64Array(rows)
  const features = service.vector.map((index): ColumnData & { values: Float64Array } => ({
    name: service.names[index] ?? '',
    type: 'DOUBLE',
    values: new Float64Array(rows),
  }))
  let paid = 0
  for (const event of history(payments, { labelDelayMs: durationMs('7d') })) {
    const row = paid - first
    const vector = vectorOf(event, row >= 0)
    if (!isPayment(event)) continue
    paid += 1
    if (payments.day[paid] !== payments.day[paid - 1]) options.progress(payments.day[paid - 1] ?? 0)
    if (vector === null) continue
    for (const [element, column] of features.entries()) column.values[row] = vector[element] ?? NaN
    ids.push(event.eventId)
    customers.push(event.data.customerId)
    times[row] = event.timestamp
  }
  return {
    rows,
    columns: [
      { name: 'payment_id', type: 'VARCHAR', values: ids },
      { name: 'customer_id', type: 'VARCHAR', values: customers },
      { name: 'payment_time_ms', type: 'BIGINT', values: times },
      { name: 'tx_day', type: 'BIGINT', values: Float64Array.from(payments.day.subarray(first)) },
      { name: 'label', type: 'BIGINT', values: Float64Array.from(payments.fraud.subarray(first)) },
      ...features,
    ],
  }
}

/** Applies events to an engine of its own; a payment that `reads` answers its vector, before any rounding. */
function vectorReader(serviceName: string) {
  const plan = compilePlan(riverbank)
  const service = plan.services.find(({ name }) => name === serviceName)
  assert(service !== undefined, `there is a service ${serviceName}`)
  const assembler = createAssembler(service)
  const engine = createMemoryEngine(plan)
  let offset = 0
  const vectorOf = (event: SimulatedEvent, reads: boolean): number[] | null => {
    const isRead = reads && isPayment(event)
    const observedAtMs = 'paymentTimeMs' in event.data ? event.data.paymentTimeMs : event.timestamp
    const position = { partition: 0, offset, appendTimeMs: event.timestamp }
    offset += 1
    const snapshots = engine.apply(event, observedAtMs, position, isRead)
    if (!isRead) return null
    const aggregated = service.entities.flatMap((entity) => snapshots[entity]?.features ?? [])
    const values = assembler.values(aggregated, { amountMinor: event.data.amountMinor, timeMs: event.timestamp })
    return service.vector.map((index) => {
      const value = values[index] ?? null
      assert(value !== null, `${service.names[index]} has a value, as its definition promises`)
      return value
    })
  }
  return { service, vectorOf }
}
