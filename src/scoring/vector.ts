import { compileExpression, type RequestValues } from '../engine/expression.ts'
import { assert } from '../base/errors.ts'
import type { ServicePlan } from '../engine/plan.ts'

/** The features of one entity, in plan order: see `Snapshot`. */
interface EntityAnswer {
  readonly features: readonly (number | null)[] | null
}

/** Turns what the entities answered into the named values of a service and its model's vector. Pure and reusable. */
export interface Assembler {
  readonly names: readonly string[]
  readonly vectorLength: number
  /** Of the vector's elements. */
  readonly vectorNames: readonly string[]
  /**
   * All values of the service, in the order of `names`. `answers`: what each entity of the plan answered, null for one
   * that the event does not name; `data` and `timeMs` are those of the event.
   */
  values(answers: readonly (EntityAnswer | null)[], data: RequestValues, timeMs: number): (number | null)[]
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
  const { vector, names, widths } = service
  return {
    names,
    vectorLength: vector.length,
    vectorNames: vector.map((index) => names[index] ?? ''),
    values(answers, data, timeMs) {
      const values: (number | null)[] = []
      for (let entity = 0; entity < widths.length; entity += 1) {
        const features = answers[entity]?.features ?? null
        const width = widths[entity] as number
        assert(features === null || features.length === width, 'an entity answers all of its features')
        for (let i = 0; i < width; i += 1) values.push(features === null ? null : (features[i] as number | null))
      }
      // In the order of definition: a derived feature reads only those before it.
      for (const evaluate of derived) values.push(evaluate(values, data, timeMs))
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
