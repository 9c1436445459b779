import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { FeatureSetManifest } from '../../../src/engine/feature-set.ts'
import { loadScorer, registeredRollout } from '../../../src/edges/onnx/load.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const modelsDir = join(root, 'models')
const compiled = JSON.parse(
  readFileSync(join(root, 'features/compiled/feature-set.json'), 'utf8'),
) as FeatureSetManifest
const { champion, shadows } = await registeredRollout(modelsDir, 'payment.initiated')

function load(model: { name: string; version: string }) {
  return loadScorer({ modelsDir, ...model, services: compiled.services })
}

it.each([champion, ...shadows])('$name/$version in the registry fits the compiled feature set', async (model) => {
  const scorer = await load(model)
  expect(scorer).toMatchObject({ ...model, rows: 'together' })
  await scorer.close()
})

it('the same payment scores the same in batches of any size, bit for bit (I2)', async () => {
  const scorer = await load(champion)
  const { vectors } = scorer.manifest.golden
  const width = scorer.manifest.features.length
  const rows = 2_000
  const all = Float32Array.from({ length: rows * width }, (_, at) => {
    const vector = vectors[Math.floor(at / width) % vectors.length] ?? []
    return vector[at % width] ?? 0
  })
  const together = await scorer.score(all, rows)
  for (const size of [1, 7, 32, 500]) {
    for (let first = 0; first + size <= rows; first += size) {
      const part = await scorer.score(all.subarray(first * width, (first + size) * width), size)
      expect(part).toEqual(together.subarray(first, first + size))
    }
  }
  await scorer.close()
})

it('golden vectors spread over the whole range of scores', async () => {
  const scorer = await load(champion)
  const { manifest, thresholds } = scorer
  const { scores } = manifest.golden
  expect(new Set(scores).size).toBeGreaterThan(20)
  expect(Math.min(...scores)).toBeLessThan(thresholds.review)
  expect(Math.max(...scores)).toBeGreaterThan(thresholds.block)
  await scorer.close()
})

it('is small enough for a repository, and its card says what the figures are worth', () => {
  const folder = join(modelsDir, champion.name, champion.version)
  expect(statSync(join(folder, 'model.onnx')).size).toBeLessThan(2_000_000)
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('On real card data the same method gives far lower')
})
