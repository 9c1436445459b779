import { command, flag, installation, json, valued, type CommandFamily } from '../command-line/command.ts'
import { asGiven } from '../command-line/arguments.ts'

const check = command({
  name: 'check',
  description: 'read every commit and the checksum of every file; exit code 1 when anything is damaged',
  settings: installation,
  options: { json },
  async run(config, options) {
    const { lakeCheckCommand } = await import('./lake/lake-check-command.ts')
    return lakeCheckCommand(config, options)
  },
})

const files = command({
  name: 'files',
  description: 'the committed files, which are those to read; also in files.json and views.sql of the lake',
  settings: installation,
  options: {
    json: flag('print JSON, as files.json has it'),
    sql: flag('print views over them for the shell of DuckDB, as views.sql has them'),
  },
  async run(config, options) {
    const { lakeFilesCommand } = await import('./lake/lake-files-command.ts')
    return lakeFilesCommand(config, options)
  },
})

const repair = command({
  name: 'repair',
  description: 'say what can be done about damage; with --yes do it. May be interrupted and repeated',
  settings: installation,
  options: {
    json,
    from: valued('<folder>', 'another copy of the lake: what has the right checksum there is taken', asGiven),
    declareLost: flag('record as lost what neither a copy nor the log has'),
    yes: flag('act; without it only the plan is printed'),
  },
  async run(config, options) {
    const { lakeRepairCommand } = await import('./lake/lake-repair-command.ts')
    return lakeRepairCommand(config, options)
  },
})

const adopt = command({
  name: 'adopt',
  description:
    'let this lake take the place of the one that states and log know: after a restore, or when one was given up',
  settings: installation,
  options: { json },
  async run(config, options) {
    const { adoptCommand } = await import('./lake/lake-adopt-command.ts')
    return adoptCommand(config, options)
  },
})

export const lakeCommands: CommandFamily = {
  name: 'lake',
  description: 'the files and the commits of the lake',
  commands: [check, files, repair, adopt],
}
