import type { z } from 'zod'
import type { FeatureSet } from './feature-set.ts'
import type { Simulator } from './simulator.ts'

/** Setting to the schema of its text in the environment, with a default and a description. */
export type SettingSchemas = Readonly<Record<string, z.ZodType>>
export type SettingsOf<Schemas extends SettingSchemas> = { readonly [Name in keyof Schemas]: z.infer<Schemas[Name]> }

/** What the demo names in its output and proposes to try. */
export interface ProjectSamples {
  /** An instance of an entity that simulated events name, by the entity's name. */
  readonly entity: { readonly name: string; readonly id: string }
  /** In the plural: what is scored, such as `logins`. */
  readonly scored: string
}

interface ProjectOptions<Schemas extends SettingSchemas> {
  readonly name: string
  /** What an installation may choose of the definitions; once it has data it keeps its choice. */
  readonly settings?: Schemas
  /** The definitions of an installation with these settings; the repository holds those of the defaults. */
  features(settings: SettingsOf<Schemas>): FeatureSet
  readonly samples: ProjectSamples
  /** Left out: `npm start` waits for events from outside. */
  simulate?(settings: SettingsOf<Schemas>): Simulator
}

/** Everything particular to one domain: the export of the index in a project's folder. */
export interface Project<Schemas extends SettingSchemas = SettingSchemas> extends ProjectOptions<Schemas> {
  readonly kind: 'riverbank project'
  readonly settings: Schemas
}

const noSettings = {} as const satisfies SettingSchemas

/** Defines a project; throws one sentence on a mistake. */
export function defineProject<const Schemas extends SettingSchemas = typeof noSettings>(
  options: ProjectOptions<Schemas>,
): Project<Schemas> {
  const { name } = options
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw new Error(`project "${name}": write the name in lower-case-with-hyphens`)
  // Where settings are left out, their type is that of none.
  const settings = options.settings ?? (noSettings as SettingSchemas as Schemas)
  for (const setting of Object.keys(settings)) {
    if (!/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(setting))
      throw new Error(`setting "${setting}": write it in UPPER_SNAKE_CASE`)
    if (!settings[setting]?.safeParse(undefined).success) throw new Error(`setting "${setting}": give it a default`)
  }
  return Object.freeze({ ...options, kind: 'riverbank project', settings })
}
