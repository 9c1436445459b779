import { compileExpression, type RequestValues } from '../engine/expression.ts'
import { assert } from '../base/errors.ts'
import type { ServicePlan } from '../engine/plan.ts'

/** Turns what the entities answered into the named values of a service and its model's vector. Pure and reusable. */
export interface Assembler {
  readonly names: readonly string[]
  readonly vectorLength: number
  /** Of the vector's elements. */
  readonly vectorNames: readonly string[]
  /** All values of the service, in the order of `names`. `aggregated`: the entities' features, in plan order. */
  values(aggregated: readonly (number | null)[], request: RequestValues): (number | null)[]
  /** Writes the vector as float32, the only rounding on the way to the model. */
  write(values: readonly (number | null)[], target: Float32Array, row: number): void
}

export function createAssembler(service: ServicePlan): Assembler {
  const indexOf = (name: string) => {
    const index = service.names.indexOf(name)
    assert(index >= 0, `${name} is a feature of ${service.name}`)
    return index
  }
  const derived = service.derived.map(({ expression }) => compileExpression(expression, indexOf))
  const { vector, names } = service
  return {
    names,
    vectorLength: vector.length,
    vectorNames: vector.map((index) => names[index] ?? ''),
    values(aggregated, request) {
      assert(aggregated.length === names.length - derived.length, 'every entity has answered')
      const values = aggregated.slice()
      // In the order of definition: a derived feature reads only those before it.
      for (const evaluate of derived) values.push(evaluate(values, request))
      return values
    },
    write(values, target, row) {
      const start = row * vector.length
      for (const [element, index] of vector.entries()) {
        const value = values[index]
        assert(value !== null && value !== undefined, `${names[index]} has a value, as its definition promises`)
        target[start + element] = value
      }
    },
  }
}
