import type { GraphNode, GraphValue, ModelGraph } from './graph.ts'
import type { ModelManifest } from './manifest.ts'
import { ModelRefused } from './refusal.ts'
import { elementTypes } from './tensor.ts'

/** A model's inputs and outputs as its manifest states them. */
export type StatedSignature = Pick<ModelManifest, 'features' | 'input' | 'outputs' | 'probability'>

export function isZipMap({ domain, type }: GraphNode): boolean {
  return domain === 'ai.onnx.ml' && type === 'ZipMap'
}

/** The number of columns of the matrix that a ZipMap turns into a map. */
export function classesOf({ attributes }: GraphNode): number {
  const classes = (name: string, list: 'integers' | 'strings') => attributes.get(name)?.[list].length ?? 0
  return Math.max(classes('classlabels_int64s', 'integers'), classes('classlabels_strings', 'strings'))
}

const typeNames = new Map<number, string>(Object.entries(elementTypes).map(([name, type]) => [type, name]))
/** The types to which a vector of float32 can be cast for a model. */
const inputTypes: readonly (string | undefined)[] = ['float32', 'float64', 'int32', 'int64', 'bool']

/**
 * Checks that inputs and outputs of the file are as the manifest states. Throws `model_refused` (`signature_mismatch`)
 * with the change to make: in the manifest, or in the line that exports the model.
 */
export function checkSignature(graph: ModelGraph, stated: StatedSignature): void {
  const width = stated.features.length
  checkStatedInputs(stated)
  if (graph.inputs.length > 1 && graph.inputs.length !== width) {
    throw refused(`model.onnx has ${graph.inputs.length} inputs for ${width} features: ${matrixHint(width)}`)
  }
  for (const { name, type } of graph.inputs) {
    if (inputTypes.includes(typeName(type))) continue
    throw refused(`the input ${name} is of ${typeName(type)}, and the vector is of numbers: ${matrixHint(width)}`)
  }
  const inputs = Array.isArray(stated.input) ? stated.input : [stated.input]
  const found = graph.inputs.map(shown).join(' ')
  if (found !== inputs.map(shownStated).join(' ')) {
    throw refused(`model.onnx takes ${found}, stated is ${inputs.map(shownStated).join(' ')}: ${matrixHint(width)}`)
  }
  checkOutputs(graph, stated)
}

function checkStatedInputs({ features, input }: StatedSignature): void {
  const width = features.length
  if (!Array.isArray(input)) {
    const { shape } = input
    if (shape.length === 2 && typeof shape[0] !== 'number' && shape[1] === width) return
    throw refused(`the input's shape is [rows, ${width}], not ${JSON.stringify(shape)}`)
  }
  if (input.length !== width) throw refused(`${input.length} inputs are stated for ${width} features, one for each`)
  const wrong = input.find(({ shape }) => shape.length !== 2 || typeof shape[0] === 'number' || shape[1] !== 1)
  if (wrong === undefined) return
  throw refused(`the shape of the input ${wrong.name} is [rows, 1], not ${JSON.stringify(wrong.shape)}`)
}

function checkOutputs(graph: ModelGraph, { outputs, probability }: StatedSignature): void {
  const maps = new Map(graph.nodes.filter(isZipMap).map((node) => [node.outputs[0], node]))
  const found = graph.outputs.map((output): GraphValue => {
    const map = maps.get(output.name)
    return map === undefined ? output : { ...output, type: elementTypes.float32, shape: ['rows', classesOf(map)] }
  })
  const unnumbered = found.find(({ type }) => type === null)
  if (unnumbered !== undefined) {
    throw refused(`${unnumbered.name} is no tensor: export the model with options={"zipmap": False}`)
  }
  // For outputs that are never read the type is enough: exporters are wrong about the shape of labels.
  const one = (value: { readonly name: string }, whole: string, type: string) =>
    value.name === probability.output ? whole : `${value.name}: ${type}`
  const actual = found.map((value) => one(value, shown(value), typeName(value.type))).sort()
  const wanted = outputs.map((value) => one(value, shownStated(value), value.type)).sort()
  const isProbabilityOpen = found.some(({ name, shape }) => name === probability.output && shape === null)
  const without = (list: readonly string[]) =>
    list.map((text) => (isProbabilityOpen ? text.replace(/\[.*$/, '') : text)).join(' ')
  if (without(actual) === without(wanted)) return
  throw refused(`model.onnx answers ${actual.join(' ')}, stated is ${wanted.join(' ')}`)
}

function matrixHint(width: number): string {
  return (
    `export it with one matrix of floats, such as ` +
    `convert_sklearn(model, initial_types=[("features", FloatTensorType([None, ${width}]))])`
  )
}

function typeName(type: number | null): string {
  return type === null ? 'no tensor' : (typeNames.get(type) ?? `type ${type}`)
}

/** Writes lengths that may differ from run to run as `*`: their names mean nothing. */
function shown({ name, type, shape }: GraphValue): string {
  return `${name}: ${typeName(type)}[${(shape ?? ['?']).map(length).join(',')}]`
}

function shownStated({ name, type, shape }: ModelManifest['outputs'][number]): string {
  return `${name}: ${type}[${shape.map(length).join(',')}]`
}

function length(one: number | string): string {
  return typeof one === 'number' ? `${one}` : '*'
}

function refused(message: string): ModelRefused {
  return new ModelRefused('signature_mismatch', message)
}
