import { assert } from '../base/errors.ts'
import type { FeaturePlan, ServicePlan } from '../engine/plan.ts'

export function servicePlan(plan: Pick<FeaturePlan, 'services'>, name: string): ServicePlan {
  const service = plan.services.find((candidate) => candidate.name === name)
  assert(service !== undefined, `there is a service ${name}`)
  return service
}
