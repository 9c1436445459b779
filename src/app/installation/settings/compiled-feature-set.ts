import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { projectFolder } from './project-folder.ts'
import { withDefaults } from './config.ts'
import { refusing, type LoadedProject } from './project.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { compileManifest } from '../../../compile/manifest.ts'
import { canonicalJson, hashText } from '../../../compile/hash.ts'
import type { FeatureSetManifest } from '../../../engine/feature-set.ts'
import { reasonFormSchema } from '../../../engine/reason-form.ts'

/** The command that compiles the definitions into the committed file. */
export function compileCommand({ isShipped, folder }: LoadedProject): string {
  return `npm run features:compile${isShipped ? '' : ` -- --project ${folder}`}`
}

const labelRuleSchema = z.object({
  subjectType: z.string(),
  subjectField: z.string(),
  repeats: z.record(z.string(), z.string()),
  withdraws: z.literal(true).exactOptional(),
  kindField: z.string().exactOptional(),
})

const scoredRuleSchema = z.object({
  emits: z.string(),
  idField: z.string(),
  timeField: z.string(),
  repeats: z.array(z.string()),
  worthField: z.string().exactOptional(),
})

const compiledSchema = z.object({
  format: z.literal(3),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  events: z.array(
    z.object({
      type: z.string(),
      version: z.number(),
      label: labelRuleSchema.exactOptional(),
      scored: scoredRuleSchema.exactOptional(),
    }),
  ),
  entities: z.array(
    z.object({
      name: z.string(),
      keyFields: z.array(z.string()),
      partitionKey: z.boolean(),
      horizonMs: z.number(),
      tilesMax: z.number(),
    }),
  ),
  features: z.array(
    z.object({
      name: z.string(),
      type: z.enum(['integer', 'double']),
      nullable: z.boolean(),
      entity: z.string().nullable(),
      view: z.string().nullable(),
      description: z.string(),
      reason: reasonFormSchema.optional(),
      definition: z.unknown(),
    }),
  ),
  services: z.array(
    z.object({ name: z.string(), eventType: z.string(), hash: z.string(), features: z.array(z.string()) }),
  ),
})

export type ReadResult =
  | { readonly kind: 'read'; readonly manifest: FeatureSetManifest }
  | { readonly kind: 'unreadable'; readonly reason: string }

/** Reads a compiled feature set from a file, and checks its hash against its content. */
export async function readCompiled(path: string): Promise<ReadResult> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return { kind: 'unreadable', reason: `${path}: there is no such file to read` }
  const parsed = compiledSchema.safeParse(jsonOf(text))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue === undefined || issue.path.length === 0 ? '' : ` (${issue.path.join('.')}: ${issue.message})`
    return { kind: 'unreadable', reason: `${path}: not a compiled feature set of format 3${where}` }
  }
  const { hash, ...content } = parsed.data
  if (hashText(canonicalJson(content)) !== hash) {
    return { kind: 'unreadable', reason: `${path}: its hash is not that of its content; it was changed by hand` }
  }
  return { kind: 'read', manifest: parsed.data }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

export type Freshness = 'fresh' | 'stale' | 'missing'

/** Compares with the committed file, byte for byte. `missing`: there is none. */
export async function compiledFreshness(manifest: FeatureSetManifest, file: string): Promise<Freshness> {
  if (!existsSync(file)) return 'missing'
  return (await readFile(file, 'utf8')) === compiledText(manifest) ? 'fresh' : 'stale'
}

/**
 * Refuses definitions that differ from their committed file, if there is one: models, readers and reviewers of a change
 * rely on that file. Errors: `feature_set_stale`.
 */
export async function requireFresh(project: LoadedProject): Promise<void> {
  const manifest = refusing(project.folder, () => compileManifest(withDefaults(project).featureSet))
  if ((await compiledFreshness(manifest, committedFile(project))) !== 'stale') return
  const what = `${project.compiledPath} is not what the definitions say`
  throw new RiverbankError('feature_set_stale', `${what}: run ${compileCommand(project)}`)
}

/** The path of the committed file, whether it exists or not. */
export function committedFile({ compiledPath }: LoadedProject): string {
  return resolve(projectFolder, compiledPath)
}

/** The text of the committed file. */
export function compiledText(manifest: FeatureSetManifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`
}
