import { riverbank } from '../../../features/index.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import type { EntityPlan, EntityBinding } from '../../../src/engine/plan.ts'

const plan = compilePlan(riverbank)

function entity(name: string): EntityPlan {
  const found = plan.entities.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no entity ${name}`)
  return found
}

function binding(name: string): EntityBinding {
  const index = plan.entities.indexOf(entity(name))
  const found = plan.events.get('payment.initiated')?.bindings[index] ?? null
  if (found === null) throw new Error(`a payment names its ${name}`)
  return found
}

/** The shipped definitions: the customer is the partition key, its first feature counts payments in 5 minutes. */
export const customerPlan = entity('customer')
export const terminalPlan = entity('terminal')
export const paymentTouch = { customer: binding('customer'), terminal: binding('terminal') }

/** Versions of a table append to the same arrays, behind what each of them sees. */
const sharedByVersions = new Set(['cells', 'lists', 'written'])

/** Frozen, all but the arrays that tables share: whoever changes it throws. */
export function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const [name, inner] of Object.entries(value)) if (!sharedByVersions.has(name)) frozen(inner)
  return Object.freeze(value)
}
