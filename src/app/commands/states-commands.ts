import { command, installation, json, required } from '../command-line/command.ts'

/** Commands that fill the states from the lake. */
export const statesCommands = [
  command({
    name: 'rebuild',
    description:
      'fill empty states from lake and log; the roles may run and wait. Call it again when it was interrupted',
    settings: installation,
    options: { json },
    async run(config, options) {
      const { rebuildCommand } = await import('./states/rebuild-command.ts')
      return rebuildCommand(config, options)
    },
  }),
  command({
    name: 'backfill',
    description: 'give a new or changed view its history from the lake, while the service runs; may be repeated',
    settings: installation,
    arguments: { view: required('view', 'its name') },
    options: { json },
    async run(config, { view, ...options }) {
      const { backfillCommand } = await import('./states/backfill-command.ts')
      return backfillCommand(config, view, options)
    },
  }),
]
