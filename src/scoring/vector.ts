import { compileExpression, type RequestValues } from '../engine/expression.ts'
import { assert } from '../base/errors.ts'
import type { ServicePlan, ValuesPlan } from '../engine/plan.ts'

/** The features of one entity, in plan order: see `StoredResponse`. */
interface EntityAnswer {
  readonly features: readonly (number | null)[] | null
}

/** Turns the entities' answers into the named values of a feature set, once for all services. Pure and reusable. */
export interface Values {
  readonly names: readonly string[]
  /**
   * In the order of `names`. `answers`: what each entity of the plan answered, null for one that the event does not
   * name; `data` and `timeMs` are those of the event.
   */
  readonly valuesOf: (
    answers: readonly (EntityAnswer | null)[],
    data: RequestValues,
    timeMs: number,
  ) => (number | null)[]
}

export function createValues({ names, widths, derived }: ValuesPlan): Values {
  const indexOf = (name: string) => {
    const index = names.indexOf(name)
    assert(index >= 0, `${name} is a feature`)
    return index
  }
  const evaluations = derived.map(({ expression }) => compileExpression(expression, indexOf))
  return {
    names,
    valuesOf(answers, data, timeMs) {
      const values = new Array<number | null>(names.length)
      let at = 0
      for (let entity = 0; entity < widths.length; entity += 1) {
        const width = widths[entity] ?? 0
        const features = answers[entity]?.features ?? null
        assert(features === null || features.length === width, 'an entity answers all of its features')
        for (let i = 0; i < width; i += 1) values[at + i] = features === null ? null : (features[i] ?? null)
        at += width
      }
      // In the order of definition: a derived feature reads only those before it.
      for (const evaluate of evaluations) values[at++] = evaluate(values, data, timeMs)
      return values
    },
  }
}

/** Writes the vectors of one service. */
export interface VectorWriter {
  /** Elements of a vector, and their names. */
  readonly width: number
  readonly names: readonly string[]
  /** As float32, the only rounding on the way to the model. */
  readonly write: (values: readonly (number | null)[], target: Float32Array, row: number) => void
  /** One vector by itself. */
  readonly vectorOf: (values: readonly (number | null)[]) => Float32Array
}

export function createVectorWriter({ names }: Pick<ValuesPlan, 'names'>, { vector }: ServicePlan): VectorWriter {
  const write = (values: readonly (number | null)[], target: Float32Array, row: number): void => {
    let at = row * vector.length
    for (const index of vector) {
      const value = values[index]
      assert(value !== null && value !== undefined, () => `${names[index]} has a value, as its definition promises`)
      target[at] = value
      at += 1
    }
  }
  return {
    width: vector.length,
    names: vector.map((index) => names[index] ?? ''),
    write,
    vectorOf(values) {
      const target = new Float32Array(vector.length)
      write(values, target, 0)
      return target
    },
  }
}
