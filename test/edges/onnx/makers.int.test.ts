import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { scoreOf, type Explanations } from '../../../src/scoring/explain/explainer.ts'
import { readGraph } from '../../../src/edges/onnx/graph.ts'
import { loadScorer } from '../../../src/edges/onnx/load.ts'
import type { ModelManifest } from '../../../src/edges/onnx/manifest.ts'
import { registerCovers } from '../../../src/edges/onnx/registration.ts'
import { isZipMap } from '../../../src/edges/onnx/signature.ts'
import { writeModelFiles } from '../../support/model-files.ts'
import { makersAvailable, makersPython } from '../../support/python.ts'

const missing = await makersAvailable()
const program = fileURLToPath(new URL('makers.py', import.meta.url))
/** Sums of float32 leaves in another order than the library adds its doubles. */
const tolerance = 1e-5
const timeout = 180_000

/** What each library's own SHAP values are measured in, and whether they are the score's or stretched to it. */
const models = {
  xgboost: 'log_odds, exact',
  lightgbm: 'log_odds, exact',
  catboost: 'log_odds, exact',
  forest: 'probability, exact',
  'forest-plain': 'probability, exact',
  'forest-columns': 'probability, exact',
  'forest-double': 'probability, exact',
  'forest-by-column': 'probability, exact',
  extra: 'probability, exact',
  tree: 'probability, exact',
  'tree-strings': 'probability, exact',
  boosting: 'log_odds, exact',
  hist: 'log_odds, exact',
  voting: 'probability, exact',
  'calibrated-forest': 'log_odds, exact',
  'calibrated-boosting': 'log_odds, exact',
  'calibrated-forest-folds': 'probability, propagated',
  'calibrated-boosting-folds': 'probability, propagated',
} as const

describe.skipIf(missing !== null)(
  `models as their libraries export them${missing === null ? '' : ` (skipped: ${missing})`}`,
  () => {
    let made: string
    beforeAll(async () => {
      made = mkdtempSync(join(tmpdir(), 'riverbank-makers-'))
      await promisify(execFile)(makersPython, [program, made])
    }, timeout)
    afterAll(() => rmSync(made, { recursive: true, force: true }))

    const floats = (name: string): Float32Array => {
      const bytes = readFileSync(join(made, name))
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
    }
    const told = () =>
      JSON.parse(readFileSync(join(made, 'models.json'), 'utf8')) as { width: number; columns: Record<string, number> }

    /** A folder with the model and a manifest that says no more than what the file answers. */
    function written(name: string): { readonly modelsDir: string; readonly manifest: ModelManifest } {
      const modelsDir = mkdtempSync(join(tmpdir(), 'riverbank-maker-'))
      onTestFinished(() => rmSync(modelsDir, { recursive: true, force: true }))
      const bytes = readFileSync(join(made, `${name}.onnx`))
      const manifest = manifestOf(name, bytes)
      writeModelFiles(modelsDir, bytes, manifest)
      return {
        modelsDir,
        manifest: JSON.parse(readFileSync(join(modelsDir, 'foreign', '1', 'manifest.json'), 'utf8')) as ModelManifest,
      }
    }

    function manifestOf(name: string, bytes: Uint8Array): ModelManifest {
      const { width, columns } = told()
      const graph = readGraph(bytes)
      const zipped = new Set(graph.nodes.filter(isZipMap).flatMap(({ outputs }) => outputs))
      const types = new Map([
        [1, 'float32'],
        [7, 'int64'],
        [8, 'string'],
        [11, 'float64'],
      ] as const)
      const typeOf = (type: number | null) => types.get(type as 1) ?? 'float32'
      const outputs = graph.outputs.map(({ name, type, shape }) =>
        zipped.has(name)
          ? { name, type: 'float32' as const, shape: ['rows', 2] }
          : { name, type: typeOf(type), shape: (shape ?? ['rows']).map((length) => (length === '' ? 'rows' : length)) },
      )
      const inputs = graph.inputs.map(({ name, type }) => ({
        name,
        type: typeOf(type) as 'float32',
        shape: ['rows', graph.inputs.length === 1 ? width : 1],
      }))
      const features = Array.from({ length: width }, (_, i) => `f${i}`)
      const rows = floats('rows.f32')
      const isSplit = name === 'forest-columns'
      const [input] = inputs
      if (input === undefined) throw new Error('a model takes something')
      return {
        ...{
          format: 1,
          name: 'foreign',
          version: '1',
          sha256: '0'.repeat(64),
          featureSet: 'ab'.repeat(32),
          service: 'own',
        },
        features,
        input: inputs.length === 1 ? input : inputs,
        outputs,
        probability: { output: isSplit ? 'i1' : (outputs[1]?.name ?? ''), column: isSplit ? 0 : (columns[name] ?? 1) },
        thresholds: { review: 0.5, block: 0.9 },
        golden: {
          tolerance,
          vectors: Array.from({ length: 64 }, (_, row) => [...rows.subarray(row * width, (row + 1) * width)]),
          scores: [...floats(`${name}.scores.f32`).subarray(0, 64)],
        },
      }
    }

    const load = (modelsDir: string, { features }: ModelManifest) =>
      loadScorer({
        modelsDir,
        name: 'foreign',
        version: '1',
        services: [{ name: 'own', hash: 'ab'.repeat(32), features }],
      })

    const background = () => {
      const vectors = floats('background.f32')
      return { vectors, rows: vectors.length / told().width, fromMs: 0, toMs: 86_400_000 }
    }

    it.each(Object.entries(models))(
      '%s: scores as its library does, and its SHAP values are its own: %s',
      async (name, kind) => {
        const { modelsDir, manifest } = written(name)
        const width = manifest.features.length
        const before = await load(modelsDir, manifest)
        expect(before.explanations).toMatchObject({ kind: 'unavailable', code: 'no_covers' })
        await before.close()
        const registered: Explanations = await registerCovers(
          { modelsDir, name: 'foreign', version: '1' },
          background(),
        )
        expect(registered.kind === 'unavailable' ? registered.reason : '').toBe('')
        const scorer = await load(modelsDir, manifest)
        onTestFinished(() => scorer.close())
        const [rows, native] = [floats('rows.f32'), floats(`${name}.shap.f32`)]
        const scores = await scorer.score(rows, rows.length / width)
        if (scorer.explanations.kind === 'unavailable') throw new Error(scorer.explanations.reason)
        const { explainer } = scorer.explanations
        expect(`${explainer.unit}, ${explainer.method}`).toBe(kind)
        const expected = floats(`${name}.scores.f32`)
        let [worst, worstScore, worstSum] = [0, 0, 0]
        for (const [row, score] of scores.entries()) {
          const contributions = explainer.contributions(rows.subarray(row * width, (row + 1) * width))
          const own = native.subarray(row * (width + 1), (row + 1) * (width + 1))
          for (const [i, one] of contributions.entries()) worst = Math.max(worst, Math.abs(one - (own[i] ?? NaN)))
          worst = Math.max(worst, Math.abs(explainer.base - (own[width] ?? NaN)))
          worstScore = Math.max(worstScore, Math.abs(score - (expected[row] ?? NaN)))
          worstSum = Math.max(worstSum, Math.abs(scoreOf(explainer, contributions) - score))
        }
        console.info(`${name}: at most ${worst} from its library, ${worstScore} in the score, ${worstSum} in the sum`)
        expect([worst, worstScore, worstSum].map((difference) => difference < tolerance)).toEqual([true, true, true])
      },
    )

    it.each([
      ['linear', 'no_trees', 'the model is no tree ensemble'],
      ['isotonic', 'not_followed', 'a calibration in steps (isotonic) jumps'],
    ])('%s: scores, and says why it cannot be explained: %s', async (name, code, reason) => {
      const { modelsDir, manifest } = written(name)
      const scorer = await load(modelsDir, manifest)
      onTestFinished(() => scorer.close())
      const unavailable = { kind: 'unavailable', code, reason: expect.stringContaining(reason) as string }
      expect(scorer.explanations).toEqual(unavailable)
      expect(await registerCovers({ modelsDir, name: 'foreign', version: '1' }, background())).toEqual(unavailable)
      expect(existsSync(join(modelsDir, 'foreign', '1', 'covers.json'))).toBe(false)
    })

    it.each(['isotonic-native', 'calibrated-pipeline'])(
      '%s: an export that answers something else than its library is refused by the golden vectors',
      async (name) => {
        const { modelsDir, manifest } = written(name)
        await expect(load(modelsDir, manifest)).rejects.toMatchObject({ reason: 'golden_mismatch' })
      },
    )

    it('covers are counted once: what is registered says the same again, and the manifest stays as it was written', async () => {
      const { modelsDir } = written('lightgbm')
      const path = join(modelsDir, 'foreign', '1', 'manifest.json')
      const before = readFileSync(path, 'utf8')
      await registerCovers({ modelsDir, name: 'foreign', version: '1' }, background())
      const after = readFileSync(path, 'utf8')
      const { covers, ...rest } = JSON.parse(after) as ModelManifest
      expect(rest).toEqual(JSON.parse(before))
      expect(after.endsWith(before.slice(1))).toBe(true)
      const bytes = readFileSync(join(modelsDir, 'foreign', '1', 'covers.json'))
      expect(covers?.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(JSON.parse(bytes.toString())).toMatchObject({ background: { rows: background().rows } })
    })

    it('the sha256 is that of the file as it is on disk, with its map', async () => {
      const { modelsDir, manifest } = written('forest')
      cpSync(join(made, 'extra.onnx'), join(modelsDir, 'foreign', '1', 'model.onnx'))
      await expect(load(modelsDir, manifest)).rejects.toMatchObject({ reason: 'hash_mismatch' })
    })
  },
)
