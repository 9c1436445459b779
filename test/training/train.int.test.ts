import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadScorer } from '../../src/edges/onnx/load.ts'
import type { OnnxScorer } from '../../src/edges/onnx/scorer.ts'
import { python, pythonAvailable } from '../support/python.ts'

const missing = await pythonAvailable()
const scripts = fileURLToPath(new URL('../../scripts/training', import.meta.url))
const features = ['amount', 'count', 'mean', 'risk', 'night']
const service = { name: 'fraud_v1', hash: 'ab'.repeat(32), features }
const seed = 7
const files = [
  ...['model.onnx', 'manifest.json', 'metrics.json', 'profile.json', 'README.md'],
  ...['precision-recall.svg', 'calibration.svg', 'scores.svg'],
]

/** Scores rows with the library that trained the model, from the trees it wrote: native.py <table> <seed> <out>. */
const native = `
import sys
sys.path.insert(0, ${JSON.stringify(scripts)})
import numpy as np
from ensemble import Settings, fit, predict
from metrics import Windows, split
from table import read_table
table = read_table(sys.argv[1], ${JSON.stringify(features)})
train, test = split(table, Windows(14, 7, 3, 3))
booster = fit(table.features[train], table.label_by(24)[train], ${seed}, Settings(40, 5, 0.05, 2.0))
rows = table.features[:1000]
rows.tofile(sys.argv[2])
predict(booster, rows).tofile(sys.argv[3])
`

describe.skipIf(missing !== null)(`training${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  let folder: string

  function run(script: string, ...args: string[]): string {
    return execFileSync(python, [join(scripts, script), ...args], { encoding: 'utf8', timeout: 100_000 })
  }

  function train(out: string, ...args: string[]): string {
    return run(
      'train.py',
      ...['--table', join(folder, 'table.parquet'), '--feature-set', join(folder, 'feature-set.json')],
      ...['--out', join(folder, out), '--train-from', '14', '--delay-days', '3', '--test-days', '3'],
      ...['--trees', '40', '--seed', String(seed), '--depth', '5', '--min-child-weight', '2', ...args],
    )
  }

  const contents = (out: string) => files.map((file) => readFileSync(join(folder, out, 'fraud', '1', file), 'hex'))
  const load = (out: string): Promise<OnnxScorer> =>
    loadScorer({ modelsDir: join(folder, out), name: 'fraud', version: '1', services: [service] })

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'riverbank-training-'))
    run('synthetic.py', '--out', join(folder, 'table.parquet'), '--features', features.join(','), '--seed', '1')
    const compiled = { services: [service] }
    writeFileSync(join(folder, 'feature-set.json'), JSON.stringify(compiled))
    train('models')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('writes a model that passes the load checks and has learned something', async () => {
    const scorer = await load('models')
    const { metrics, training, thresholds } = scorer.manifest
    expect(metrics.test.aucRoc).toBeGreaterThan(0.85)
    expect(training).toMatchObject({ days: [14, 20], rows: 2100, seed })
    expect(thresholds.review).toBeLessThanOrEqual(thresholds.block)
    await scorer.close()
  })

  it('scores 1,000 rows as the native library does, in one batch and one by one', async () => {
    const [rowsFile, scoresFile] = [join(folder, 'rows.f32'), join(folder, 'scores.f32')]
    writeFileSync(join(folder, 'native.py'), native)
    execFileSync(python, [join(folder, 'native.py'), join(folder, 'table.parquet'), rowsFile, scoresFile])
    const [rows, expected] = [float32(rowsFile), float32(scoresFile)]
    expect(expected).toHaveLength(1000)
    const scorer = await load('models')
    const scores = await scorer.score(rows, 1000)
    let largest = 0
    for (const [row, score] of scores.entries()) {
      largest = Math.max(largest, Math.abs(score - (expected[row] ?? NaN)))
      const alone = await scorer.score(rows.subarray(row * features.length, (row + 1) * features.length), 1)
      expect(alone[0]).toBe(score)
    }
    expect(largest).toBeLessThan(1e-6)
    expect(new Set(scores).size).toBeGreaterThan(100)
    await scorer.close()
  })

  it('keeps the cover of every node, so that SHAP values need only the file', () => {
    const attribute = `
import onnx, sys
node = onnx.load(sys.argv[1]).graph.node[0]
print(*(len(a.floats) or len(a.ints) for a in node.attribute if a.name in ("nodes_hitrates", "nodes_treeids")))`
    const model = join(folder, 'models', 'fraud', '1', 'model.onnx')
    const [hitrates, nodes] = execFileSync(python, ['-c', attribute, model], { encoding: 'utf8' }).trim().split(' ')
    expect(Number(hitrates)).toBeGreaterThan(100)
    expect(hitrates).toBe(nodes)
  })

  it('the same data and seed give the same bytes, other data others', () => {
    train('again')
    expect(contents('again')).toEqual(contents('models'))
    train('other', '--train-days', '6')
    expect(contents('other')[0]).not.toBe(contents('models')[0])
  })

  it('stops with one sentence when the table lacks a column', () => {
    const compiled = { services: [{ ...service, features: [...features, 'extra'] }] }
    writeFileSync(join(folder, 'wider.json'), JSON.stringify(compiled))
    expect(() => train('none', '--feature-set', join(folder, 'wider.json'))).toThrow('lacks the columns extra')
  })
})

function float32(path: string): Float32Array {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}
