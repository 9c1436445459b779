import type { Command } from 'commander'
import type { Config } from '../installation/config.ts'
import type { LakeFilesOptions } from './lake-files-command.ts'
import type { LakeRepairOptions } from './lake-repair-command.ts'

/** `riverbank lake check`, `files`, `repair` and `adopt`. */
export function addLakeCommands(program: Command, settings: () => Config): void {
  const lake = program.command('lake').description('the files and the commits of the lake')
  lake
    .command('check')
    .description('read every commit and the checksum of every file; exit code 1 when anything is damaged')
    .option('--json', 'print JSON')
    .action(async (options: { readonly json?: boolean }) => {
      const config = settings()
      const { lakeCheckCommand } = await import('./lake-check-command.ts')
      process.exitCode = await lakeCheckCommand(config, options)
    })
  lake
    .command('files')
    .description('the committed files, which are those to read; also in files.json and views.sql of the lake')
    .option('--json', 'print JSON, as files.json has it')
    .option('--sql', 'print views over them for the shell of DuckDB, as views.sql has them')
    .action(async (options: LakeFilesOptions) => {
      const config = settings()
      const { lakeFilesCommand } = await import('./lake-files-command.ts')
      process.exitCode = await lakeFilesCommand(config, options)
    })
  lake
    .command('repair')
    .description('say what can be done about damage; with --yes do it. May be interrupted and repeated')
    .option('--json', 'print JSON')
    .option('--from <folder>', 'another copy of the lake: what has the right checksum there is taken')
    .option('--declare-lost', 'record as lost what neither a copy nor the log has')
    .option('--yes', 'act; without it only the plan is printed')
    .action(async (options: LakeRepairOptions) => {
      const config = settings()
      const { lakeRepairCommand } = await import('./lake-repair-command.ts')
      process.exitCode = await lakeRepairCommand(config, options)
    })
  lake
    .command('adopt')
    .description(
      'let this lake take the place of the one that states and log know: after a restore, or when one was given up',
    )
    .option('--json', 'print JSON')
    .action(async (options: { readonly json?: boolean }) => {
      const config = settings()
      const { adoptCommand } = await import('./lake-adopt-command.ts')
      process.exitCode = await adoptCommand(config, options)
    })
}
