import type { Command } from 'commander'
import { readConfig, readProject, type Config } from '../installation/settings/config.ts'
import type { InstalledProject } from '../installation/settings/project.ts'
import { besideInstallation } from '../installation/settings/running-installation.ts'

/** Selects the settings that a command reads. `read` throws `invalid_config` before the command does anything. */
export interface SettingsSource<Settings> {
  readonly from: 'environment' | 'installation' | 'project' | 'none'
  read(): Settings
}

/** The environment alone: a role must not join an installation that it finds in the folder. */
export const environment: SettingsSource<Config> = { from: 'environment', read: () => readConfig(process.env) }

/** The environment, and the installation that `npm start` runs here. */
export const installation: SettingsSource<Config> = {
  from: 'installation',
  read: () => readConfig(besideInstallation(process.env)),
}

/** The project and its own settings, however wrong the other settings are. */
export const project: SettingsSource<InstalledProject> = {
  from: 'project',
  read: () => readProject(besideInstallation(process.env)),
}

/** The command judges its settings itself. */
export const unread: SettingsSource<NodeJS.ProcessEnv> = { from: 'none', read: () => besideInstallation(process.env) }

interface Flag {
  readonly kind: 'flag'
  readonly description: string
}

interface Valued<Value> {
  readonly kind: 'valued'
  /** The value in the help: `<n>`. */
  readonly placeholder: string
  readonly description: string
  /** Throws commander's `InvalidArgumentError`. */
  readonly parse: (text: string) => Value
}

interface Defaulted<Value> extends Omit<Valued<Value>, 'kind'> {
  readonly kind: 'defaulted'
  readonly byDefault: Value
}

export type Option = Flag | Valued<unknown> | Defaulted<unknown>

interface Required {
  readonly kind: 'required'
  /** The argument in the help: `name/version`. */
  readonly shown: string
  readonly description: string
}

interface Optional<Value> extends Omit<Required, 'kind'> {
  readonly kind: 'optional'
  readonly parse: (text: string) => Value
}

export type Argument = Required | Optional<unknown>

/** By the name that `run` reads; the command line spells `pendingMax` as `--pending-max`. */
type Options = Readonly<Record<string, Option>>
type Arguments = Readonly<Record<string, Argument>>
/** The options of a command that takes none. */
type None = { readonly none?: never }

type ValueOf<Given> = Given extends { readonly parse: (text: string) => infer Value }
  ? Value
  : Given extends Flag
    ? true
    : string

type Always = Required | Defaulted<unknown>

/** The values for `run`: options with a default and required arguments always, the others if the user gave them. */
type Given<All> = {
  readonly [Name in keyof All as All[Name] extends Always ? Name : never]: ValueOf<All[Name]>
} & {
  readonly [Name in keyof All as All[Name] extends Always ? never : Name]?: ValueOf<All[Name]>
}

interface Description<Settings, O extends Options, A extends Arguments> {
  readonly name: string
  readonly description: string
  readonly settings: SettingsSource<Settings>
  readonly arguments?: A
  readonly options?: O
  /** Why the given values contradict each other; null when they do not. */
  readonly refuse?: (given: Given<O> & Given<A>) => string | null
  /** Answers the exit code. Imports what it needs itself: the command line loads no client, no model and no role. */
  readonly run: (settings: Settings, given: Given<O> & Given<A>) => Promise<number>
}

/** A command as the program builder reads it, without the types of its options and arguments. */
export interface CommandEntry {
  readonly name: string
  readonly description: string
  readonly settings: SettingsSource<unknown>
  readonly arguments: Arguments
  readonly options: Options
  /** Checks a parsed command; its option values include its arguments. */
  refuse(parsed: Command): string | null
  prepare(parsed: Command): () => Promise<number>
}

/** Commands under one word: `riverbank topics create`. */
export interface CommandFamily {
  readonly name: string
  readonly description: string
  readonly commands: readonly CommandEntry[]
}

export function command<Settings, O extends Options = None, A extends Arguments = None>(
  described: Description<Settings, O, A>,
): CommandEntry {
  const { name, description, settings, options = {}, arguments: taken = {}, refuse, run } = described
  return {
    ...{ name, description, settings, options, arguments: taken },
    refuse: (parsed) => refuse?.(parsed.opts<Given<O> & Given<A>>()) ?? null,
    prepare(parsed) {
      const read = settings.read()
      return () => run(read, parsed.opts<Given<O> & Given<A>>())
    },
  }
}

export function flag(description: string): Flag {
  return { kind: 'flag', description }
}

export function valued<Value>(placeholder: string, description: string, parse: (text: string) => Value): Valued<Value> {
  return { kind: 'valued', placeholder, description, parse }
}

export function defaulted<Value>(
  placeholder: string,
  description: string,
  parse: (text: string) => Value,
  byDefault: Value,
): Defaulted<Value> {
  return { kind: 'defaulted', placeholder, description, parse, byDefault }
}

export function required(shown: string, description: string): Required {
  return { kind: 'required', shown, description }
}

export function optional<Value>(shown: string, description: string, parse: (text: string) => Value): Optional<Value> {
  return { kind: 'optional', shown, description, parse }
}

/** On every command. */
export const json = flag('print JSON')
