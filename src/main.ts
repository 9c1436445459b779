#!/usr/bin/env node
import { resolve } from 'node:path'
import { Command } from 'commander'
import { dayMs, duration, number, wholeNumber } from './app/commands/arguments.ts'
import type { BacktestCommandOptions } from './app/commands/backtest-command.ts'
import type { Config } from './app/installation/config.ts'
import { readConfig, readProject } from './app/installation/config.ts'
import { addDeadLettersCommands } from './app/commands/dead-letters-commands.ts'
import type { FeatureFilter } from './app/commands/feature-list.ts'
import type { FeaturesRequest } from './app/commands/features-command.ts'
import { addLakeCommands } from './app/commands/lake-commands.ts'
import type { ModelsCommandOptions } from './app/commands/models-command.ts'
import type { MonitorCommandOptions } from './app/commands/monitor-command.ts'
import { besideInstallation } from './app/installation/running-installation.ts'
import { isProjectError, projectVariable } from './app/installation/project.ts'
import { endWithReader } from './app/commands/standard-streams.ts'
import { programVersion } from './app/installation/version.ts'
import { isRiverbankError } from './base/errors.ts'

/**
 * The command line. Exit codes: 0 done and well, 1 failed or found something wrong, 2 called wrongly or misconfigured.
 * Results go to stdout, everything else to stderr.
 */
export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const

type Environment = Parameters<typeof readConfig>[0]

interface Common {
  readonly json?: boolean
}

const program = new Command('riverbank')
  .description('Real-time features and fraud decisions on an event stream. Settings: riverbank doctor --settings')
  .version(programVersion())
  .option(
    '--project <folder>',
    'of the definitions and models, instead of RIVERBANK_PROJECT; before or after the command',
  )
  .hook('preAction', (command) => {
    const { project } = command.opts<{ project?: string }>()
    // Roles that are started from here go by the environment.
    if (project !== undefined) process.env[projectVariable] = resolve(project)
  })
  .showHelpAfterError('(--help says what a command takes)')
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage)
  })

program
  .command('up')
  .description('run all roles, restart what crashes')
  .option('--processors <n>', 'how many processors', wholeNumber, 1)
  .option('--json', 'log lines are JSON anyway; accepted everywhere')
  .action(async ({ processors }: { processors: number }) => {
    const config = settings(process.env)
    const { runAll } = await import('./app/supervise/up.ts')
    process.exitCode = await runAll(config, { processors })
  })

for (const [name, description] of [
  ['process', 'events in; features, scores and dead letters out'],
  ['serve', 'HTTP: features, decisions, streams, SQL'],
  ['materialize', 'events and scores into the lake'],
] as const) {
  program
    .command(name)
    .description(description)
    .option('--json', 'log lines are JSON anyway; accepted everywhere')
    .action(async () => {
      const config = settings(process.env)
      const { runNamedRole } = await import('./app/roles/roles.ts')
      process.exit(await runNamedRole(name, config))
    })
}

const topics = program.command('topics').description('the topics of this installation')
for (const [name, description] of [
  ['create', 'create the topics, or check that they are as configured'],
  ['describe', 'offsets of every partition'],
  ['lag', 'how far every group is behind; exit code 1 above --max'],
] as const) {
  const command = topics.command(name).description(description).option('--json', 'print JSON')
  if (name === 'lag') command.option('--max <records>', 'largest lag that is well', wholeNumber)
  command.action(async (options: Common & { max?: number }) => {
    const config = settings()
    const { topicsCommand } = await import('./app/commands/topics-command.ts')
    process.exitCode = await topicsCommand(config, name, options)
  })
}

program
  .command('sql')
  .description(
    'one SELECT over the lake: events, scores, observations, labels, training_set, and a view for each event type',
  )
  .argument('<select>', 'the query, or - to read it from standard input')
  .option('--json', 'print JSON')
  .action(async (query: string, options: Common) => {
    const config = settings()
    const { sqlCommand } = await import('./app/commands/sql-command.ts')
    process.exitCode = await sqlCommand(config, query, options)
  })

program
  .command('verify')
  .description('recompute what was promised from what was written; exit code 1 when anything differs')
  .option('--json', 'print JSON')
  .option('--fast', 'do not read every file again for its checksum')
  .option('--states <n>', 'compare the states of so many entities of each kind, or of all (default 1000)')
  .option('--seed <n>', 'chooses them')
  .option('--pending-max <duration>', 'exit code 1 when something is pending for longer, such as 30s or 5m', duration)
  .action(async (options: Common & { fast?: boolean; states?: string; seed?: string; pendingMax?: number }) => {
    const config = settings()
    const { verifyCommand } = await import('./app/commands/verify-command.ts')
    process.exitCode = await verifyCommand(config, options)
  })

program
  .command('backtest')
  .description("a model or a policy on the lake's features as they were, beside what was decided; writes nothing")
  .option('--json', 'print JSON')
  .option('--model <name/version>', 'instead of the one that scored the newest events')
  .option('--policy <file>', "instead of the model's own thresholds")
  .option('--from <date>', 'first day, YYYY-MM-DD (UTC); without it the first of the lake', dayMs)
  .option('--to <date>', 'the day after the last one', dayMs)
  .option('--review-cost <minor>', 'of looking at one event, in the unit of its worth', wholeNumber, 500)
  .option('--false-block-cost <minor>', 'of refusing an honest event, in the unit of its worth', wholeNumber, 2_000)
  .action(async (options: BacktestCommandOptions) => {
    const config = settings()
    const { backtestCommand } = await import('./app/commands/backtest-command.ts')
    process.exitCode = await backtestCommand(config, options)
  })

program
  .command('monitor')
  .description('drift from training, missing values, calibration and outcomes; exit code 1 beyond a limit')
  .option('--json', 'print JSON')
  .option('--model <name/version>', 'instead of the one that scored the newest events')
  .option('--days <n>', 'days of events to look at', wholeNumber, 7)
  .option('--to <date>', 'the day after the last one; without it up to the newest event', dayMs)
  .option('--label-delay <days>', 'until labels have arrived: outcomes are judged so much earlier', wholeNumber, 7)
  .option('--max-psi <index>', 'largest population stability index that is well', number, 0.25)
  .option('--max-null-rate <share>', 'largest share of missing values that is well', number, 0.01)
  .option('--min-precision <share>', 'smallest precision of alerts that is well', number, 0)
  .option('--min-recall <share>', 'smallest recall of alerts that is well', number, 0)
  .action(async (options: MonitorCommandOptions) => {
    const config = settings()
    const { monitorCommand } = await import('./app/commands/monitor-command.ts')
    process.exitCode = await monitorCommand(config, options)
  })

program
  .command('rebuild')
  .description('fill empty states from lake and log; the roles may run and wait. Call it again when it was interrupted')
  .option('--json', 'print JSON')
  .action(async (options: Common) => {
    const config = settings()
    const { rebuildCommand } = await import('./app/commands/rebuild-command.ts')
    process.exitCode = await rebuildCommand(config, options)
  })

program
  .command('backfill')
  .description('give a new or changed view its history from the lake, while the service runs; may be repeated')
  .argument('<view>', 'its name')
  .option('--json', 'print JSON')
  .action(async (view: string, options: Common) => {
    const config = settings()
    const { backfillCommand } = await import('./app/commands/backfill-command.ts')
    process.exitCode = await backfillCommand(config, view, options)
  })

addLakeCommands(program, () => settings())

addDeadLettersCommands(program, () => settings())

const models = program.command('models').description('which models score; changes take effect without a restart')
models
  .command('list')
  .description('generations of models, newest first: who decides, whose scores are logged, where each took effect')
  .option('--json', 'print JSON')
  .option('--limit <n>', 'at most so many', wholeNumber, 20)
  .action(async (options: Common & { limit: number }) => {
    const config = settings()
    const { listModels } = await import('./app/commands/models-command.ts')
    process.exitCode = await listModels(config, options)
  })
models
  .command('register')
  .description(
    'check a model, and count the covers its trees lack over scored events of the lake, for reasons; before promoting',
  )
  .argument('<name/version>', 'such as fraud/2')
  .option('--json', 'print JSON')
  .action(async (name: string, { json }: Common) => {
    const config = settings()
    const { registerModel } = await import('./app/commands/register-command.ts')
    process.exitCode = await registerModel(config, name, json === true)
  })
for (const [kind, description] of [
  ['promote', 'let a model decide'],
  ['shadow', 'score with a model beside the champion, without acting on it'],
  ['retire', 'stop a shadow'],
  ['rollback', 'go back to the models before the last change'],
] as const) {
  const command = models
    .command(kind)
    .description(`${description}; exit code 1 when a processor refuses it`)
    .option('--json', 'print JSON')
    .option('--reason <text>', 'kept with the generation')
    .option('--wait <seconds>', 'how long to wait until it has taken effect everywhere', wholeNumber, 10)
    .option('--scores <event type>', 'whose models are meant, where several types are scored and the model is not here')
  if (kind !== 'rollback') command.argument('<name/version>', 'such as fraud/2')
  command.action(async (...given: unknown[]) => {
    const config = settings()
    const { changeModels } = await import('./app/commands/models-command.ts')
    const options = command.opts<ModelsCommandOptions>()
    const asked = { kind, ...(kind === 'rollback' ? {} : { model: String(given[0]) }) }
    process.exitCode = await changeModels(config, asked, options)
  })
}

const features = program.command('features').description('what the features are; needs no server')
features
  .command('list')
  .description('every feature, or those of an entity, a view, a service')
  .option('--json', 'print JSON')
  .option('--entity <name>', 'only those of this entity')
  .option('--view <name>', 'only those of this view')
  .option('--service <name>', "only this service's vector, in its order")
  .action(async ({ json, ...filter }: Common & FeatureFilter) => describeFeatures({ kind: 'list', filter }, json))
features
  .command('show')
  .description('definition, slots, who reads it, and what it costs in the state of an entity')
  .argument('<feature|view>', 'its name')
  .option('--json', 'print JSON')
  .action(async (name: string, { json }: Common) => describeFeatures({ kind: 'show', name }, json))
features
  .command('diff')
  .description('what changed between two compiled feature sets; exit code 1 when anything did')
  .argument('<before>', 'a compiled feature set, such as features/compiled/feature-set.json of another commit')
  .argument('[after]', 'another; without it the definitions of this program')
  .option('--json', 'print JSON')
  .action(async (before: string, after: string | undefined, { json }: Common) =>
    describeFeatures({ kind: 'diff', before, ...(after === undefined ? {} : { after }) }, json),
  )
features
  .command('check')
  .description('is the committed feature set what the definitions say? exit code 1 when not')
  .option('--json', 'print JSON')
  .action(async ({ json }: Common) => describeFeatures({ kind: 'check' }, json))

async function describeFeatures(request: FeaturesRequest, json = false): Promise<void> {
  const installed = settings(besideInstallation(process.env), readProject)
  const { featuresCommand } = await import('./app/commands/features-command.ts')
  process.exitCode = await featuresCommand(installed, request, { json })
}

program
  .command('doctor')
  .description('what is installed, reachable and misconfigured, and what to do')
  .option('--json', 'print JSON')
  .option('--settings', 'print every setting with its default instead')
  .action(async (options: Common & { settings?: boolean }) => {
    const { doctorCommand } = await import('./app/doctor/doctor-command.ts')
    process.exitCode = await doctorCommand(besideInstallation(process.env), options)
  })

/** Roles go by the environment alone; all others find what `npm start` runs here. */
function settings(env?: Environment): Config
function settings<Settings>(env: Environment, read: (env: Environment) => Settings): Settings
function settings(
  env: Environment = besideInstallation(process.env),
  read: (env: Environment) => unknown = readConfig,
) {
  try {
    return read(env)
  } catch (error) {
    if (!isRiverbankError(error, 'invalid_config')) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(exitCodes.usage)
  }
}

endWithReader()
try {
  await program.parseAsync()
} catch (error) {
  // Expected failures are one line with their code; anything else is a bug and shows where it is.
  const text = isRiverbankError(error) ? `${error.code}: ${error.message}` : bugReport(error)
  process.stderr.write(`${text}\n`)
  process.exitCode = isProjectError(error) ? exitCodes.usage : exitCodes.failed
}

function bugReport(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
