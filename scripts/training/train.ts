import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { writeTrainingTable } from './lake-table.ts'
import { runPython, runSetup } from './python.ts'
import { defaultSettings } from '../../features/settings.ts'
import { definitions } from '../../src/app/installation/definitions.ts'
import { projectFolder as root } from '../../src/app/installation/project-folder.ts'
import { isRiverbankError, RiverbankError } from '../../src/base/errors.ts'
import { dayMs } from '../../src/base/units.ts'
import { loadScorer, readRegistry } from '../../src/edges/onnx/load.ts'
import { isModelRefused } from '../../src/edges/onnx/refusal.ts'

interface Options {
  readonly from: number
  readonly to: number
  readonly name: string
  readonly version?: string
  readonly service: string
  readonly data: string
  readonly models: string
  readonly labelDelay: number
  readonly testDays: number
  readonly folds: number
  readonly champion: boolean
}

const program = new Command('npm run train --')
  .description(
    'Trains a model on the lake: payments with their features as they were when they were scored, and the labels that\n' +
      'were known a label delay after the last of them. Writes models/<name>/<version>/. Further options go to train.py:\n' +
      '--trees, --depth, --rate, --min-child-weight, --subsample, --columns, --seed, --review-rate, --block-precision.',
  )
  .requiredOption('--from <date>', 'first day of the payments to learn from, YYYY-MM-DD (UTC)', day)
  .requiredOption('--to <date>', 'the day after the last one', day)
  .option('--name <name>', 'of the model', 'fraud')
  .option('--version <version>', 'of the model; without it the number after the highest there is')
  .option('--service <service>', 'the feature service that is its input', 'fraud_v2')
  .option('--data <dir>', 'folder of the installation, with its lake', '.riverbank')
  .option('--models <dir>', 'where models are', join(root, 'models'))
  .option('--label-delay <days>', 'until labels are known', whole, 7)
  .option('--test-days <days>', 'days to test on, from when the labels are known on', whole, 7)
  .option('--folds <n>', 'test folds for the mean, each one test length later', whole, 1)
  .option('--champion', 'name it champion in registry.json, for installations that start with it', false)
  .allowUnknownOption()
  .allowExcessArguments()
  .showHelpAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

function day(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('a date YYYY-MM-DD is needed')
  return ms / dayMs
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on is needed')
  return value
}

async function train(options: Options, further: readonly string[]): Promise<void> {
  const { manifest } = definitions(defaultSettings)
  const { from, to, name, labelDelay, testDays, folds } = options
  if (to <= from)
    throw new RiverbankError('training_empty', '--to is the day after the last one: it must be after --from')
  const service = manifest.services.find((candidate) => candidate.name === options.service)
  if (service === undefined) {
    const names = manifest.services.map((candidate) => candidate.name)
    throw new RiverbankError('unknown_service', `no service ${options.service}, there are ${names.join(', ')}`)
  }
  await runSetup()
  const version = options.version ?? nextVersion(options.models, name)
  const path = join(root, '.cache', 'training', `${name}-${version}.parquet`)
  console.error('reading the lake')
  const { rows, firstDay } = await writeTrainingTable({
    lakeDir: join(resolve(options.data), 'lake'),
    manifest,
    features: service.features,
    // The validation fold lies before, the test folds behind.
    days: { from: from - labelDelay - testDays, to: to + labelDelay + testDays * folds },
    training: { from, to },
    knownByDay: to + labelDelay,
    path,
  })
  console.error(`${rows} payments; training ${name}/${version}`)
  await runPython('train.py', [
    ...['--table', path, '--out', resolve(options.models), '--name', name, '--version', version],
    ...['--feature-set', join(root, 'features/compiled/feature-set.json'), '--service', service.name],
    ...['--train-from', String(from - firstDay), '--train-days', String(to - from)],
    ...['--delay-days', String(labelDelay), '--test-days', String(testDays), '--folds', String(folds)],
    ...further,
  ])
  const scorer = await loadScorer({ modelsDir: options.models, name, version, services: manifest.services })
  await scorer.close()
  if (options.champion) await nameChampion(options.models, name, version)
}

/** The number after the highest that is there; versions that are no numbers are passed over. */
function nextVersion(modelsDir: string, name: string): string {
  const folder = join(modelsDir, name)
  const versions = existsSync(folder) ? readdirSync(folder).map(Number).filter(Number.isSafeInteger) : []
  return String(Math.max(0, ...versions) + 1)
}

/** Shadows stay. */
async function nameChampion(modelsDir: string, name: string, version: string): Promise<void> {
  const shadows = await readRegistry(modelsDir).then(
    (registry) => registry.shadows,
    (error: unknown) => {
      if (isModelRefused(error, 'registry_missing')) return []
      throw error
    },
  )
  const path = join(modelsDir, 'registry.json')
  await mkdir(modelsDir, { recursive: true })
  await writeFile(`${path}.new`, `${JSON.stringify({ champion: { name, version }, shadows }, null, 2)}\n`)
  await rename(`${path}.new`, path)
  console.error(`champion: ${name}/${version}`)
  console.error(`an installation that has scored before takes it with: riverbank models promote ${name}/${version}`)
}

program.parse()
checkCompiled()
try {
  await train(program.opts<Options>(), program.args)
} catch (error) {
  if (!isRiverbankError(error)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}

/** The model names the hash of the committed file, and the service computes it from the definitions. */
function checkCompiled(): void {
  const committed = JSON.parse(readFileSync(join(root, 'features/compiled/feature-set.json'), 'utf8')) as unknown
  const { hash } = definitions(defaultSettings).manifest
  if (typeof committed === 'object' && committed !== null && 'hash' in committed && committed.hash === hash) return
  console.error('features/compiled/feature-set.json is not fresh: run npm run features:compile first')
  process.exit(1)
}
