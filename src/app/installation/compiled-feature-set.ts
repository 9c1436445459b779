import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { projectFolder } from './project-folder.ts'
import { canonicalJson, hashText } from '../../compile/hash.ts'
import type { FeatureSetManifest } from '../../engine/feature-set.ts'
import { reasonFormSchema } from '../../engine/reason-form.ts'

export const compiledPath = 'features/compiled/feature-set.json'
/** What makes the committed file say what the definitions say. */
export const compileCommand = 'npm run features:compile'

const labelRuleSchema = z.object({
  subjectType: z.string(),
  subjectField: z.string(),
  repeats: z.record(z.string(), z.string()),
})

const compiledSchema = z.object({
  format: z.literal(2),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  events: z.array(z.object({ type: z.string(), version: z.number(), label: labelRuleSchema.exactOptional() })),
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
  services: z.array(z.object({ name: z.string(), hash: z.string(), features: z.array(z.string()) })),
})

export type ReadResult =
  | { readonly kind: 'read'; readonly manifest: FeatureSetManifest }
  | { readonly kind: 'unreadable'; readonly reason: string }

/** A compiled feature set from a file, in one piece: its hash is that of its content. */
export async function readCompiled(path: string): Promise<ReadResult> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return { kind: 'unreadable', reason: `${path}: there is no such file to read` }
  const parsed = compiledSchema.safeParse(jsonOf(text))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue === undefined || issue.path.length === 0 ? '' : ` (${issue.path.join('.')}: ${issue.message})`
    return { kind: 'unreadable', reason: `${path}: not a compiled feature set of format 2${where}` }
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

/** As it is committed, byte for byte. `missing`: only a checkout has the file. */
export async function compiledFreshness(manifest: FeatureSetManifest, file = committedFile()): Promise<Freshness> {
  if (file === null) return 'missing'
  return (await readFile(file, 'utf8')) === compiledText(manifest) ? 'fresh' : 'stale'
}

/** What is committed. */
export function compiledText(manifest: FeatureSetManifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function committedFile(): string | null {
  const file = join(projectFolder, compiledPath)
  return existsSync(file) ? file : null
}
