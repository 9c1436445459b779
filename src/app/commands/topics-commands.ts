import { command, installation, json, valued, type CommandFamily } from '../command-line/command.ts'
import { wholeNumber } from '../command-line/arguments.ts'

const topicsCommand = async () => (await import('./topics-command.ts')).topicsCommand

export const topicsCommands: CommandFamily = {
  name: 'topics',
  description: 'the topics of this installation',
  commands: [
    command({
      name: 'create',
      description: 'create the topics, or check that they are as configured',
      settings: installation,
      options: { json },
      run: async (config, options) => (await topicsCommand())(config, 'create', options),
    }),
    command({
      name: 'describe',
      description: 'offsets of every partition',
      settings: installation,
      options: { json },
      run: async (config, options) => (await topicsCommand())(config, 'describe', options),
    }),
    command({
      name: 'lag',
      description: 'how far every group is behind; exit code 1 above --max',
      settings: installation,
      options: { json, max: valued('<records>', 'largest lag that is well', wholeNumber) },
      run: async (config, options) => (await topicsCommand())(config, 'lag', options),
    }),
  ],
}
