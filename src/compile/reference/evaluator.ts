import type { RequestValues } from '../../engine/expression.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import { referenceExpression } from './expression.ts'

export type NamedValues = Readonly<Record<string, number | null>>

/** Recomputes the derived features from the aggregated ones and the scored event: its data with its `timeMs`. */
export type DerivedEvaluator = (aggregated: NamedValues, request: RequestValues) => NamedValues

/** Evaluates with the oracle of expressions, not the compiled closures. */
export function createDerivedEvaluator(set: FeatureSet): DerivedEvaluator {
  return (aggregated, request) => {
    const values: Record<string, number | null> = { ...aggregated }
    const derived: Record<string, number | null> = {}
    // In the order of definition: a derived feature reads only those before it.
    for (const { name, expression } of set.derived) {
      const value = referenceExpression(expression.tree, values, request)
      values[name] = value
      derived[name] = value
    }
    return derived
  }
}
