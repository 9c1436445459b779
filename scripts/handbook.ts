import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { runDemo, type DemoOptions } from './demo/run.ts'
import { say } from './demo/say.ts'
import { datasetEpochMs } from '../features/simulator/payment-events.ts'
import { writeTrainingTable } from './training/lake-table.ts'
import { runPython, runSetup } from './training/python.ts'
import { environmentName, readConfig } from '../src/app/installation/settings/config.ts'
import { definitions } from '../src/app/installation/settings/definitions.ts'
import { projectFolder as root } from '../src/app/installation/settings/project-folder.ts'
import { scoredOfService } from '../src/lake/tables/lake-schema.ts'
import { assert, isRiverbankError } from '../src/base/errors.ts'
import { dayMs } from '../src/base/units.ts'

interface Options {
  readonly data: string
  readonly log: DemoOptions['log']
  readonly models: string
  readonly version: string
}

const options = new Command('npm run handbook --')
  .description(
    'The whole published data set through the whole service, then the published table with models trained on what the\n' +
      'service served, then the model that ships. What is done already is not done again; to begin anew, delete the folder.',
  )
  .option('--data <dir>', 'folder for everything that is kept (about 3 GB)', '.riverbank/handbook')
  .addOption(new Option('--log <driver>', 'what carries the events').choices(['redis', 'kafka']).default('redis'))
  .option('--models <dir>', 'where the last model goes; "models" ships it', join('.riverbank', 'handbook', 'models'))
  .option('--version <version>', 'of that model', '2')
  .showHelpAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()
  .opts<Options>()

const payments = 1_754_155
const firstDay = datasetEpochMs / dayMs
/** 49 days of training two weeks before the first fold's, and the last test fold's end. */
const tableDays = { from: firstDay + 59, to: firstDay + 157 }
const service = 'fraud_v2'

/** The parameters that the last variant chose on validation folds. */
function chosenParameters(path: string): readonly string[] {
  const { parameters } = JSON.parse(readFileSync(path, 'utf8')) as { parameters: Readonly<Record<string, unknown>> }
  const names = { trees: 'trees', depth: 'depth', rate: 'rate', min_child_weight: 'min-child-weight' }
  const shares = { subsample: 'subsample', columns: 'columns' }
  return Object.entries({ ...names, ...shares }).flatMap(([key, flag]) => [`--${flag}`, String(parameters[key])])
}

async function handbook(dir: string): Promise<number> {
  mkdirSync(dir, { recursive: true })
  const served = join(dir, 'served')
  if (!existsSync(served)) {
    say(`${payments} payments and their labels through the service, into ${dir}`)
    // The feed is months in minutes: with several partitions one would be days ahead of another, and a terminal's past
    // would be incomplete when its next payment is scored. In live traffic time passes for all partitions.
    process.env[environmentName('PARTITIONS')] = '1'
    const log = options.log === undefined ? {} : { log: options.log }
    const code = await runDemo({ events: payments, exit: true, data: dir, rate: 1, ...log })
    if (code !== 0) return code
    writeFileSync(served, '')
  }
  await runSetup()
  const { manifest, lakeSchema: schema } = definitions(readConfig({}))
  const inputs = manifest.services.find(({ name }) => name === service)?.features
  assert(inputs !== undefined, `there is a service ${service}`)
  const table = join(dir, 'training.parquet')
  if (!existsSync(table)) {
    say('writing the training table from the lake')
    const training = { from: firstDay + 73, to: firstDay + 122 }
    const scored = scoredOfService(schema, service)
    const lake = { lakeDir: join(dir, 'lake'), schema, scored, features: inputs, path: table }
    await writeTrainingTable({ ...lake, days: tableDays, training, knownByDay: training.to + 7 })
  }
  const results = join(dir, 'results')
  mkdirSync(results, { recursive: true })
  await runPython('handbook.py', ['--table', table, '--inputs', inputs.join(','), '--out', results])
  await runPython('train.py', [
    ...['--table', table, '--out', resolve(options.models), '--name', 'fraud', '--version', options.version],
    ...['--feature-set', join(root, 'features/compiled/feature-set.json'), '--service', service],
    ...['--train-from', '73', '--train-days', '49', '--folds', '4'],
    ...chosenParameters(join(results, 'variant-c.json')),
  ])
  return 0
}

try {
  process.exitCode = await handbook(resolve(options.data))
} catch (error) {
  if (!isRiverbankError(error)) throw error
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exitCode = 1
}
// Exits although a library may hold something open.
process.exit()
