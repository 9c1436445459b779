import type { BinaryOperation, Expression } from '../engine/expression.ts'

const signs: Readonly<Record<BinaryOperation, string>> = {
  add: '+',
  subtract: '−',
  multiply: '×',
  ratio: '÷',
  modulo: 'mod',
  less: '<',
  less_or_equal: '≤',
  equal: '=',
}

/** A derived feature as a reader would write it down: `coalesce(event.amountMinor ÷ spend__amount_mean_1d, 0)`. */
export function expressionText(tree: Expression): string {
  switch (tree.op) {
    case 'feature':
      return tree.name
    case 'request':
      return `event.${tree.field}`
    case 'constant':
      return String(tree.value)
    case 'coalesce':
      return `coalesce(${tree.values.map(expressionText).join(', ')})`
    case 'floor':
    case 'square_root':
      return `${tree.op}(${expressionText(tree.value)})`
    default:
      return `${operandText(tree.left)} ${signs[tree.op]} ${operandText(tree.right)}`
  }
}

/** Puts every inner operation in brackets: nobody has to remember what binds tighter. */
function operandText(tree: Expression): string {
  return 'left' in tree ? `(${expressionText(tree)})` : expressionText(tree)
}
