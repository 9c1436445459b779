import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readRegistry } from '../../src/edges/onnx/load.ts'
import type { ModelRegistry } from '../../src/edges/onnx/manifest.ts'
import { isModelRefused } from '../../src/edges/onnx/refusal.ts'
import { isErrno } from '../../src/lake/commit/durable.ts'
import { parsePolicy } from '../../src/scoring/policy.ts'
import type { Thresholds } from '../../src/scoring/decision.ts'
import { modelName, type ModelReference } from '../../src/scoring/rollout/generation.ts'

/** The texts of a model's policies, by the name of their file. */
export type PolicyFiles = ReadonlyMap<string, string>

const policiesIn = (modelsDir: string, { name, version }: ModelReference) => join(modelsDir, name, version, 'policies')

/** Reads the policies of a model; none for a missing model. */
export async function readPolicies(modelsDir: string, model: ModelReference): Promise<PolicyFiles> {
  const folder = policiesIn(modelsDir, model)
  const files = await readdir(folder).catch((error: unknown): string[] => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
  return new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), 'utf8')] as const)),
  )
}

export async function writePolicies(modelsDir: string, model: ModelReference, files: PolicyFiles): Promise<void> {
  if (files.size === 0) return
  const folder = policiesIn(modelsDir, model)
  await mkdir(folder, { recursive: true })
  for (const [file, text] of files) await writeFile(join(folder, file), text)
}

export async function registryOf(modelsDir: string): Promise<ModelRegistry> {
  return readRegistry(modelsDir).catch((error: unknown): ModelRegistry => {
    if (isModelRefused(error, 'registry_missing')) return {}
    throw error
  })
}

/** A champion and the text of the policy that the registry names with it. */
export interface ChampionPolicy {
  readonly model: ModelReference
  readonly text: string
}

/** Null if the type has no champion, or the champion no policy. */
export async function championPolicy(modelsDir: string, eventType: string): Promise<ChampionPolicy | null> {
  const model = (await registryOf(modelsDir))[eventType]?.champion
  if (model?.policy === undefined) return null
  const text = (await readPolicies(modelsDir, model)).get(`${model.policy}.json`)
  return text === undefined ? null : { model, text }
}

/**
 * Names a model champion of a type; shadows stay, and so does the policy: a model without that version of it gets the
 * one of the champion before, with its own thresholds, because those of another model mean other scores. Answers a text
 * of what it did.
 */
export async function nameChampion(
  modelsDir: string,
  eventType: string,
  { model, thresholds }: { readonly model: ModelReference; readonly thresholds: Thresholds },
  before: ChampionPolicy | null,
): Promise<readonly string[]> {
  const registry = await registryOf(modelsDir)
  const said: string[] = []
  const champion = before === null ? model : { ...model, policy: before.model.policy }
  if (before?.model.policy !== undefined) {
    const file = `${before.model.policy}.json`
    if ((await readPolicies(modelsDir, model)).has(file))
      said.push(`policy ${before.model.policy} of ${modelName(model)} stays`)
    else {
      const { review, block } = thresholds
      const policy = { ...parsePolicy(JSON.parse(before.text)), thresholds: { review, block } }
      await writePolicies(modelsDir, model, new Map([[file, `${JSON.stringify(policy, null, 2)}\n`]]))
      said.push(`policy of ${modelName(before.model)} taken over, with the thresholds of ${modelName(model)}`)
    }
  }
  const shadows = registry[eventType]?.shadows ?? []
  const path = join(modelsDir, 'registry.json')
  await mkdir(modelsDir, { recursive: true })
  await writeFile(`${path}.new`, `${JSON.stringify({ ...registry, [eventType]: { champion, shadows } }, null, 2)}\n`)
  await rename(`${path}.new`, path)
  return [
    ...said,
    `champion of ${eventType}: ${modelName(champion)}`,
    `an installation that has scored before takes it with: riverbank models promote ${modelName(champion)}`,
  ]
}
