import { defineEntity } from '../src/define/entity.ts'

/** Who pays. Events are partitioned by customer, so one customer's events are in order. */
export const customer = defineEntity({ name: 'customer', keyFields: ['customerId'], partitionKey: true })

/** Where it is paid. All partitions share terminals. */
export const terminal = defineEntity({ name: 'terminal', keyFields: ['terminalId'] })

/** One customer at one terminal. */
export const customerTerminal = defineEntity({ name: 'customer_terminal', keyFields: ['customerId', 'terminalId'] })
