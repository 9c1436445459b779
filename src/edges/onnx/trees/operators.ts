import {
  constantFormula,
  logisticFormula,
  plus,
  times,
  type ScoreFormula,
} from '../../../scoring/explain/score-formula.ts'
import type { GraphNode } from '../graph.ts'
import { elementTypes } from '../tensor.ts'
import { columnsValue, unknown, type Value } from './values.ts'

type Operator = (inputs: readonly Value[], node: GraphNode) => Value | null

/**
 * The standard operators that exporters write between trees and a probability: each computes the known form of its
 * answer from those of its inputs. Null, or an operator that is not here: the answer is unknown.
 */
export const operators: Readonly<Record<string, Operator>> = {
  Identity: ([input]) => input ?? null,
  Cast: ([input], node) => casted(input, node.attributes.get('to')?.integer ?? 0),
  Split: ([input], node) => (input?.kind === 'vector' && input.elements.length === node.outputs.length ? input : null),
  Concat: (inputs, node) => joined(inputs, node.attributes.get('axis')?.integer ?? 0),
  ArrayFeatureExtractor: ([input, places]) => extracted(input, places),
  Gather: ([input, places], node) => (node.attributes.get('axis')?.integer === 1 ? extracted(input, places) : null),
  Slice: ([input, from, to, axes]) => sliced(input, [from, to, axes]),
  Reshape: ([input, shape]) => reshaped(input, numbersOf(shape)),
  Flatten: ([input]) => input ?? null,
  Squeeze: ([input]) => (input?.kind === 'columns' && input.columns.length === 1 ? input : null),
  Unsqueeze: ([input]) => (input?.kind === 'columns' && input.columns.length === 1 ? input : null),
  Add: ([left, right]) => sum(left, right),
  Sum: (inputs) =>
    inputs.slice(1).reduce<Value | null>((total, one) => sum(total ?? undefined, one), inputs[0] ?? null),
  Sub: ([left, right]) => difference(left, right),
  Neg: ([input]) => scaled(input, [-1]),
  Mul: ([left, right]) => scaled(left, numbersOf(right)) ?? scaled(right, numbersOf(left)),
  Div: ([left, right]) => quotient(left, right),
  Exp: ([input]) => (input?.kind === 'columns' ? { kind: 'powers', shift: 0, exponents: input.columns } : null),
  Sigmoid: ([input]) => (input?.kind === 'columns' ? columnsValue(input.columns.map(logisticFormula)) : null),
  Softmax: ([input]) => softmax(input),
}

function casted(input: Value | undefined, to: number): Value | null {
  if (input === undefined) return null
  if (to === elementTypes.float32 || to === elementTypes.float64) return input
  if (input.kind !== 'vector' || !(to === elementTypes.int64 || to === elementTypes.int32)) return null
  return { kind: 'vector', elements: input.elements.map((one) => ({ ...one, isWhole: true })) }
}

function joined(inputs: readonly Value[], axis: number): Value | null {
  if (axis !== 1 && axis !== -1) return null
  if (inputs.every((one) => one.kind === 'vector')) {
    return { kind: 'vector', elements: inputs.flatMap(({ elements }) => elements) }
  }
  if (!inputs.every((one) => one.kind === 'columns')) return null
  return columnsValue(inputs.flatMap(({ columns }) => columns))
}

function extracted(input: Value | undefined, places: Value | undefined): Value | null {
  const chosen = numbersOf(places)
  return chosen === null ? null : chosenColumns(input, chosen)
}

function chosenColumns(input: Value | undefined, places: readonly number[]): Value | null {
  const choose = <Item>(list: readonly Item[]) => places.flatMap((place) => list.at(place) ?? [])
  const isThere = (length: number) => places.every((place) => place >= -length && place < length)
  if (input?.kind === 'vector' && isThere(input.elements.length)) {
    return { kind: 'vector', elements: choose(input.elements) }
  }
  return input?.kind === 'columns' && isThere(input.columns.length) ? columnsValue(choose(input.columns)) : null
}

function sliced(input: Value | undefined, bounds: readonly (Value | undefined)[]): Value | null {
  const [from, to, axes] = bounds.map((bound) => numbersOf(bound))
  if (from?.length !== 1 || to?.length !== 1 || axes?.length !== 1 || axes[0] !== 1) return null
  const length = input?.kind === 'vector' ? input.elements.length : input?.kind === 'columns' ? input.columns.length : 0
  return chosenColumns(input, [...Array(length).keys()].slice(from[0], to[0]))
}

/** Rows stay rows, and columns columns. */
function reshaped(input: Value | undefined, shape: readonly number[] | null): Value | null {
  if (input?.kind !== 'columns' || shape === null) return null
  const columns = input.columns.length
  return (shape.length === 2 && shape[1] === columns) || (shape.length === 1 && columns === 1) ? input : null
}

function sum(left: Value | undefined, right: Value | undefined): Value | null {
  const [powers, constant] = left?.kind === 'powers' ? [left, numbersOf(right)] : [right, numbersOf(left)]
  if (powers?.kind === 'powers') {
    return constant?.length === 1 ? { ...powers, shift: powers.shift + (constant[0] ?? NaN) } : null
  }
  return added(left, right)
}

function added(left: Value | undefined, right: Value | undefined): Value | null {
  const [a, b] = [addends(left), addends(right)]
  if (a === null || b === null || (left?.kind === 'constant' && right?.kind === 'constant')) return null
  const length = Math.max(a.length, b.length)
  if (![a, b].every((list) => list.length === length || list.length === 1)) return null
  const at = (list: readonly ScoreFormula[], i: number) => list[list.length === 1 ? 0 : i] ?? constantFormula(NaN)
  return columnsValue(Array.from({ length }, (_, i) => plus(at(a, i), at(b, i))))
}

function addends(value: Value | undefined): readonly ScoreFormula[] | null {
  if (value?.kind === 'columns') return value.columns
  return numbersOf(value)?.map(constantFormula) ?? null
}

function difference(left: Value | undefined, right: Value | undefined): Value | null {
  const negated = right?.kind === 'constant' ? scaledConstant(right, -1) : scaled(right, [-1])
  return negated === null ? null : added(left, negated)
}

function scaledConstant({ tensor }: Extract<Value, { kind: 'constant' }>, by: number): Value {
  return { kind: 'constant', tensor: { ...tensor, values: tensor.values.map((value) => value * by) } }
}

function scaled(value: Value | undefined, factors: readonly number[] | null): Value | null {
  if (value?.kind !== 'columns' || factors === null) return null
  const { columns } = value
  if (factors.length !== 1 && factors.length !== columns.length) return null
  return columnsValue(columns.map((one, i) => times(one, factors[factors.length === 1 ? 0 : i] ?? NaN)))
}

/** 1 ÷ (1 + e^z) is σ(−z). */
function quotient(left: Value | undefined, right: Value | undefined): Value | null {
  const dividend = numbersOf(left)
  if (right?.kind === 'powers' && right.shift === 1 && dividend?.length === 1) {
    const [over] = dividend
    return columnsValue(right.exponents.map((exponent) => times(logisticFormula(times(exponent, -1)), over ?? NaN)))
  }
  if (right?.kind !== 'constant' || left?.kind !== 'columns') return null
  const divisors = right.tensor.values
  return divisors.includes(0)
    ? null
    : scaled(
        left,
        divisors.map((one) => 1 / one),
      )
}

function softmax(input: Value | undefined): Value | null {
  if (input?.kind !== 'columns') return null
  const [first, second, ...others] = input.columns
  if (first === undefined || second === undefined || others.length > 0) return null
  return columnsValue([plus(first, times(second, -1)), plus(second, times(first, -1))].map(logisticFormula))
}

function numbersOf(value: Value | undefined): readonly number[] | null {
  return value?.kind === 'constant' ? value.tensor.values : null
}

/** Explains operators that cannot be followed, if there is more to say than their name. */
const whyNot: Readonly<Record<string, string>> = {
  Clip: 'a calibration in steps (isotonic) jumps, and no sum of contributions follows a jump: method="sigmoid" is explained',
}

/** The answer of an operator, or the reason why it is unknown. */
export function applied(node: GraphNode, inputs: readonly Value[]): Value {
  const lost = inputs.find((input) => input.kind === 'unknown')
  if (lost !== undefined) return lost
  const answer = Object.hasOwn(operators, node.type) ? operators[node.type]?.(inputs, node) : undefined
  return answer ?? unknown(whyNot[node.type] ?? `what ${node.type} does between the vector and the score is not read`)
}
