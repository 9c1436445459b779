import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Argument, CommandEntry, CommandFamily, Option } from './command.ts'
import { exitCodes } from './exit-codes.ts'
import { projectVariable } from '../installation/settings/project.ts'
import { programVersion } from '../installation/settings/version.ts'
import { isRiverbankError } from '../../base/errors.ts'

/** The commander program of a table of commands. */
export function programOf(table: readonly (CommandEntry | CommandFamily)[]): Command {
  const program = new Command('riverbank')
    .description('Real-time features and decisions on an event stream. Settings: riverbank doctor --settings')
    .version(programVersion())
    .option(
      '--project <folder>',
      'of the definitions and models, instead of RIVERBANK_PROJECT; before or after the command',
    )
    .hook('preAction', (command) => {
      const { project } = command.opts<{ project?: string }>()
      // Roles that this process starts read the environment.
      if (project !== undefined) process.env[projectVariable] = resolve(project)
    })
    .showHelpAfterError('(--help says what a command takes)')
    .exitOverride((error) => {
      process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage)
    })
  for (const entry of table) {
    if ('commands' in entry) {
      const family = program.command(entry.name).description(entry.description)
      for (const each of entry.commands) addCommand(family, each)
    } else addCommand(program, entry)
  }
  return program
}

function addCommand(parent: Command, entry: CommandEntry): void {
  const command = parent.command(entry.name).description(entry.description)
  for (const argument of Object.values(entry.arguments)) addArgument(command, argument)
  for (const [name, option] of Object.entries(entry.options)) addOption(command, optionName(name), option)
  command.action(async () => {
    for (const [i, name] of Object.keys(entry.arguments).entries()) {
      if (command.processedArgs[i] !== undefined) command.setOptionValue(name, command.processedArgs[i])
    }
    const wrong = entry.refuse(command)
    if (wrong !== null) command.error(`error: ${wrong}`)
    process.exitCode = await prepared(entry, command)()
  })
}

function addArgument(command: Command, argument: Argument): void {
  if (argument.kind === 'required') command.argument(`<${argument.shown}>`, argument.description)
  else command.argument(`[${argument.shown}]`, argument.description, argument.parse)
}

function addOption(command: Command, name: string, option: Option): void {
  if (option.kind === 'flag') {
    command.option(name, option.description)
    return
  }
  const { placeholder, description, parse } = option
  const flags = `${name} ${placeholder}`
  if (option.kind === 'valued') command.option(flags, description, (text: string) => parse(text))
  else command.option(flags, description, (text: string) => parse(text), option.byDefault)
}

/** The option's name on the command line. */
export function optionName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** Wrong settings end the program with one line for each mistake. */
function prepared(entry: CommandEntry, command: Command): () => Promise<number> {
  try {
    return entry.prepare(command)
  } catch (error) {
    if (!isRiverbankError(error, 'invalid_config')) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(exitCodes.usage)
  }
}
