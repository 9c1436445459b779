import { paymentInitiated } from '../../features/sources.ts'
import type { Metric } from './measurement.ts'
import { chance, randomEnsemble, randomVector, type EnsembleShape } from '../models/random-trees.ts'
import { eachRound, sized, type Run } from './run.ts'
import { assert } from '../../src/base/errors.ts'
import { createReasonWriter } from '../../src/scoring/explain/reason.ts'
import { createTreeShap, type TreeShap } from '../../src/scoring/explain/tree-shap.ts'
import { loadExplanations, registeredRollout } from '../../src/edges/onnx/load.ts'

const fullRows = 500
/** µs of processor time: other load of the machine hardly matters. */
const goal = { kind: 'below', value: 1_000 } as const
/** Full trees: the most work at this depth. */
const large: EnsembleShape = { trees: 200, depth: 6, width: 24 }

/** Measures the exact SHAP values of one payment after the other, and the reasons made of them. */
export async function benchExplain(run: Run): Promise<void> {
  const rows = sized(run, fullRows, 10)
  const { champion } = await registeredRollout('models', paymentInitiated.type)
  const name = `${champion.name}/${champion.version}`
  const shipped = await loadExplanations({ modelsDir: 'models', ...champion })
  assert(shipped.kind === 'available', 'the shipped model can be explained')
  const { explainer } = shipped
  const write = createReasonWriter(explainer.features, [])
  const random = chance(1)
  const of = (shape: EnsembleShape) => Array.from({ length: rows }, () => randomVector(shape, random))
  const full = createTreeShap(randomEnsemble(large, random))
  const some = of({ trees: 300, depth: 5, width: explainer.features.length })
  const many = of(large)
  const metric: Metric = { benchmark: 'explain', driver: null, name: '', unit: 'µs/payment' }
  await eachRound(run, 'explain', (): Promise<void> => {
    run.record({ ...metric, name: `${name}, SHAP values` }, contributionsMicros(explainer, some))
    const withReasons = micros(rows, () => {
      for (const vector of some) {
        write({ contributions: explainer.contributions(vector), values: vector, stats: explainer.stats })
      }
    })
    run.record({ ...metric, name: `${name}, with reasons` }, withReasons)
    run.record({ ...metric, name: '200 full trees of depth 6, SHAP values', goal }, contributionsMicros(full, many))
    return Promise.resolve()
  })
}

function contributionsMicros(shap: Pick<TreeShap, 'contributions'>, vectors: readonly Float32Array[]): number {
  return micros(vectors.length, () => {
    for (const vector of vectors) shap.contributions(vector)
  })
}

/** Processor time per row, of the second of two runs. */
function micros(rows: number, work: () => void): number {
  work()
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / rows
}
