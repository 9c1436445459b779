import { describe, expect, it } from 'vitest'
import type { GraphValue, ModelGraph } from '../../../src/edges/onnx/graph.ts'
import { isModelRefused } from '../../../src/edges/onnx/refusal.ts'
import { checkSignature, type StatedSignature } from '../../../src/edges/onnx/signature.ts'

const value = (name: string, type: number | null, shape: GraphValue['shape']): GraphValue => ({ name, type, shape })
const matrix = value('features', 1, ['', 2])
const scores = value('scores', 1, ['', 2])
const graph = (inputs: readonly GraphValue[], outputs: readonly GraphValue[] = [scores]): ModelGraph => ({
  ...{ nodes: [], constants: new Map(), opset: 17, inputs, outputs },
})
const stated = (change: Partial<StatedSignature> = {}): StatedSignature => ({
  features: ['a', 'b'],
  input: { name: 'features', type: 'float32', shape: ['rows', 2] },
  outputs: [{ name: 'scores', type: 'float32', shape: ['rows', 2] }],
  probability: { output: 'scores', column: 1 },
  ...change,
})

function refusal(found: ModelGraph, said = stated()): string {
  try {
    checkSignature(found, said)
    return ''
  } catch (error) {
    expect(isModelRefused(error, 'signature_mismatch')).toBe(true)
    return String(error)
  }
}

describe('inputs and outputs of a model', () => {
  const columns = [
    { name: 'a', type: 'float64' as const, shape: ['rows', 1] },
    { name: 'b', type: 'int64' as const, shape: ['rows', 1] },
  ]
  it.each<[string, ModelGraph, StatedSignature]>([
    ['one matrix', graph([matrix]), stated()],
    ['one column per feature', graph([value('a', 11, ['', 1]), value('b', 7, ['', 1])]), stated({ input: columns })],
    ['outputs whose shape the file leaves open', graph([matrix], [value('scores', 1, null)]), stated()],
    [
      'a label, whose shape exporters get wrong',
      graph([matrix], [value('label', 7, [1]), scores]),
      stated({ outputs: [{ name: 'label', type: 'int64', shape: ['rows'] }, ...stated().outputs] }),
    ],
  ])('are taken as they are stated: %s', (_what, found, said) => {
    expect(refusal(found, said)).toBe('')
  })

  const line = 'convert_sklearn(model, initial_types=[("features", FloatTensorType([None, 2]))])'
  it.each<[string, ModelGraph, string]>([
    ['a text', graph([value('country', 8, ['', 1]), value('b', 1, ['', 1])]), 'the input country is of string'],
    ['more inputs than features', graph([matrix, matrix, matrix]), 'has 3 inputs for 2 features'],
    ['another type than stated', graph([value('features', 11, ['', 2])]), 'takes features: float64[*,2], stated is'],
    ['another width', graph([value('features', 1, ['', 3])]), 'takes features: float32[*,3], stated is'],
    ['rows of a fixed number', graph([value('features', 1, [1, 2])]), 'takes features: float32[1,2]'],
  ])('are refused with the line that fixes the export: %s', (_what, found, why) => {
    expect(refusal(found)).toContain(why)
    expect(refusal(found)).toContain(line)
  })

  it('a map that no ZipMap makes is refused with the option that leaves it out', () => {
    expect(refusal(graph([matrix], [value('scores', null, null)]))).toContain('options={"zipmap": False}')
  })
})
