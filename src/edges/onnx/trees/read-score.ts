import type { Explanations } from '../../../scoring/explain/explainer.ts'
import type { ScoreFormula, TreeForest } from '../../../scoring/explain/score-formula.ts'
import type { Adaptation } from '../adaptation.ts'
import type { GraphNode } from '../graph.ts'
import { isEnsemble, readEnsemble } from './ensembles.ts'
import { applied } from './operators.ts'
import { Unavailable } from './unavailable.ts'
import { columnsValue, unknown, type Value } from './values.ts'

/** The formula of a model's score over its trees. */
export interface ReadScore {
  readonly kind: 'read'
  readonly formula: ScoreFormula
  /** The forests of the formula, in the order of the file. */
  readonly forests: readonly TreeForest[]
  /** Elements of the vector of which the model takes the whole part only. */
  readonly whole: readonly number[]
}

/** `unavailable`: why a model that may score as well as any has no exact contributions of its features. */
export type ScoreReading = ReadScore | Extract<Explanations, { kind: 'unavailable' }>

/**
 * Follows the score of a model from the vector through its trees and the operators that exporters put around them.
 * Never throws: any model may come. `column`: the column of the model's answer with the score.
 */
export function readScore(
  { graph, input, output }: Pick<Adaptation, 'graph' | 'input' | 'output'>,
  { width, column }: { readonly width: number; readonly column: number },
): ScoreReading {
  try {
    return followed(graph, { input, output, width, column })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { kind: 'unavailable', code: error instanceof Unavailable ? error.code : 'not_followed', reason }
  }
}

function followed(
  { nodes, constants }: Adaptation['graph'],
  { input, output, width, column }: { input: string; output: string; width: number; column: number },
): ReadScore {
  if (!nodes.some(isEnsemble)) throw new Unavailable('the model is no tree ensemble', 'no_trees')
  const vector = Array.from({ length: width }, (_, element) => ({ element, isWhole: false }))
  const values = new Map<string, Value>([[input, { kind: 'vector', elements: vector }]])
  for (const [name, tensor] of constants) values.set(name, { kind: 'constant', tensor })
  const forests: TreeForest[] = []
  const whole = new Map<number, boolean>()
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => values.get(name) ?? unknown(`nothing is known of ${name}`))
    const answers = isEnsemble(node) ? ensemble(node, inputs[0], { width, forests, whole }) : operator(node, inputs)
    for (const [i, name] of node.outputs.entries()) values.set(name, answers[i] ?? unknown(`${name} is not read`))
  }
  const answer = values.get(output) ?? unknown(`nothing answers ${output}`)
  if (answer.kind === 'unknown') throw new Unavailable(answer.why)
  const formula = answer.kind === 'columns' ? answer.columns[column] : undefined
  if (formula === undefined) throw new Unavailable('the score is not made of the sums of trees')
  const used = forestsOf(formula)
  if (used.size === 0) throw new Unavailable('the score does not depend on the trees')
  return {
    kind: 'read',
    formula,
    forests: forests.filter((forest) => used.has(forest)),
    whole: [...whole].flatMap(([element, isWhole]) => (isWhole ? [element] : [])),
  }
}

interface Found {
  readonly width: number
  readonly forests: TreeForest[]
  readonly whole: Map<number, boolean>
}

/** A classifier answers labels first, and scores second. */
function ensemble(node: GraphNode, taken: Value | undefined, { width, forests, whole }: Found): Value[] {
  const place = node.type === 'TreeEnsembleClassifier' ? 1 : 0
  const answer = (value: Value) => (place === 1 ? [unknown('a label is no score'), value] : [value])
  if (taken?.kind !== 'vector') {
    return answer(
      unknown(`the trees do not take the vector as it is${taken?.kind === 'unknown' ? `: ${taken.why}` : ''}`),
    )
  }
  for (const { element, isWhole } of taken.elements) {
    if ((whole.get(element) ?? isWhole) !== isWhole) {
      return answer(unknown(`element ${element} is taken as it is, and without what comes after the point`))
    }
    whole.set(element, isWhole)
  }
  try {
    const { forest, columns } = readEnsemble(node, taken.elements, width)
    forests.push(forest)
    return answer(columnsValue(columns))
  } catch (error) {
    if (error instanceof Unavailable) return answer(unknown(error.message))
    throw error
  }
}

function operator(node: GraphNode, inputs: readonly Value[]): Value[] {
  const answer = applied(node, inputs)
  if (node.type !== 'Split' || answer.kind !== 'vector') return [answer]
  return answer.elements.map((element) => ({ kind: 'vector', elements: [element] }))
}

function forestsOf({ terms }: ScoreFormula): Set<TreeForest> {
  return new Set(terms.flatMap((term) => (term.kind === 'leaves' ? [term.forest] : [...forestsOf(term.of)])))
}
