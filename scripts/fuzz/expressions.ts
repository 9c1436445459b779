import type { BinaryOperation, Expression } from '../../src/engine/expression.ts'
import { featureName, type View } from '../../src/define/view.ts'
import type { Random, Recipe } from './definitions.ts'

const binary: readonly BinaryOperation[] = [
  ...(['add', 'subtract', 'multiply', 'ratio', 'modulo', 'less', 'less_or_equal', 'equal'] as const),
]
/** Both zeros, numbers without an exact sum of two, and numbers whose products overflow or underflow. */
const constants = [0, -0, 1, -1, 7, 0.1, 1 / 3, 5e-324, 1e-300, 1e308, -1e308, Number.MAX_VALUE, 2 ** 53]

/** Numbers and booleans of a payment, some of which it may lack, and its time. */
export const eventFields = ['amount', 'items', 'online', 'weight', 'gift', 'timeMs'] as const

export function featureNamesOf(view: View): string[] {
  return view.aggregates.flatMap((aggregate) =>
    view.windows.map((window) => featureName(view.name, aggregate.name, window)),
  )
}

/** Two to six derived features of every operation; some read others. */
export function randomDerived(random: Random, features: readonly string[]): Recipe['derived'] {
  const known = [...features]
  return Array.from({ length: 2 + random.below(5) }, (_, i) => {
    const name = `derived_${i}`
    const tree = randomExpression(random, known, 2 + random.below(2))
    known.push(name, name)
    return { name, tree }
  })
}

function randomExpression(random: Random, names: readonly string[], depth: number): Expression {
  const inner = () => randomExpression(random, names, depth - 1)
  if (depth === 0 || random.chance(0.1)) {
    if (random.chance(0.6)) return { op: 'feature', name: random.pick(names) }
    if (random.chance(0.5)) return { op: 'request', field: random.pick(eventFields) }
    return { op: 'constant', value: random.pick(constants) }
  }
  if (random.chance(0.25)) return edge(random, inner())
  if (random.chance(0.15)) return { op: 'coalesce', values: [inner(), inner()] }
  if (random.chance(0.2)) return { op: random.pick(['floor', 'square_root']), value: inner() }
  return { op: random.pick(binary), left: inner(), right: inner() }
}

/** Operations without a finite answer, or that lose a sign or digits, as operands of others. */
function edge(random: Random, value: Expression): Expression {
  const constant = (number: number): Expression => ({ op: 'constant', value: number })
  const zero: Expression = { op: 'subtract', left: value, right: value }
  return random.pick<Expression>([
    { op: 'multiply', left: value, right: constant(random.pick([1e308, -1e308, Number.MAX_VALUE])) },
    { op: 'multiply', left: value, right: constant(random.pick([5e-324, -5e-324, -0])) },
    { op: random.pick(['ratio', 'modulo']), left: value, right: random.pick([zero, constant(0), constant(-0)]) },
    { op: random.pick(['ratio', 'modulo']), left: value, right: constant(random.pick([5e-324, -1e-300])) },
    { op: 'square_root', value: { op: 'subtract', left: constant(-1), right: value } },
    zero,
  ])
}
