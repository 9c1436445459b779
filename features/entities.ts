import { defineEntity } from '../src/define/entity.ts'

/** Who pays. Events are partitioned by customer, so one customer's events are in order. */
export const customer = defineEntity({ name: 'customer', keyField: 'customerId', partitionKey: true })

/** Where it is paid. Terminals are shared by all partitions. */
export const terminal = defineEntity({ name: 'terminal', keyField: 'terminalId' })
