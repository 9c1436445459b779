import { championPolicy, nameChampion, readPolicies, writePolicies } from './champion.ts'
import { existsSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { writeTrainingTable } from './lake-table.ts'
import { writeConstantModel } from './constant-model.ts'
import { runPython, runSetup } from './python.ts'
import type { ServiceManifest } from '../../src/engine/feature-set.ts'
import { projectOption, takeProject } from '../project.ts'
import {
  committedFile,
  compileCommand,
  compiledFreshness,
} from '../../src/app/installation/settings/compiled-feature-set.ts'
import { withDefaults } from '../../src/app/installation/settings/config.ts'
import { isProjectError, loadProject, type LoadedProject } from '../../src/app/installation/settings/project.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { projectFolder as root } from '../../src/app/installation/settings/project-folder.ts'
import { isRiverbankError, RiverbankError } from '../../src/base/errors.ts'
import { pluralOf } from '../../src/base/plural.ts'
import { dayMs } from '../../src/base/units.ts'
import { scoredOfService } from '../../src/lake/tables/lake-schema.ts'
import { loadScorer } from '../../src/edges/onnx/load.ts'

interface Options {
  readonly from?: number
  readonly to?: number
  readonly constant: boolean
  readonly name?: string
  readonly version?: string
  readonly service?: string
  readonly data: string
  readonly models?: string
  readonly labelDelay: number
  readonly testDays: number
  readonly folds: number
  readonly champion: boolean
}

const program = new Command('npm run train --')
  .description(
    'Trains a model on the lake: scored events with their features as they were then, and the labels that\n' +
      'were known a label delay after the last of them. Writes models/<name>/<version>/. Further options go to train.py:\n' +
      '--trees, --depth, --rate, --min-child-weight, --subsample, --columns, --seed, --review-rate, --block-precision.',
  )
  .option('--from <date>', 'first day of the events to learn from, YYYY-MM-DD (UTC)', day)
  .option('--to <date>', 'the day after the last one', day)
  .option('--name <name>', "of the model; without it the service's, less its version")
  .option('--version <version>', 'of the model; without it the number after the highest there is')
  .option('--service <service>', 'the feature service that is its input; without it the newest of the project')
  .option('--data <dir>', 'folder of the installation, with its lake', '.riverbank')
  .option('--models <dir>', 'where models are; without it those of the project')
  .option(...projectOption)
  .option('--label-delay <days>', 'until labels are known', whole, 7)
  .option('--test-days <days>', 'days to test on, from when the labels are known on', whole, 7)
  .option('--folds <n>', 'test folds for the mean, each one test length later', whole, 1)
  .option('--champion', 'name it champion in registry.json, for installations that start with it', false)
  .option('--constant', 'no training: a champion that approves everything, for a project that has no model yet', false)
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

/** The model to train, and its folder. */
interface Target {
  readonly project: LoadedProject
  readonly modelsDir: string
  readonly service: ServiceManifest
  readonly name: string
  readonly version: string
}

function targetOf(options: Options, project: LoadedProject): Target {
  const modelsDir = options.models ?? join(project.isShipped ? root : project.folder, 'models')
  const { services } = definitions(withDefaults(project)).manifest
  const service =
    options.service === undefined ? services.at(-1) : services.find(({ name }) => name === options.service)
  if (service === undefined) {
    const names = services.map((candidate) => candidate.name)
    throw new RiverbankError('unknown_service', `no service ${options.service ?? ''}, there are ${names.join(', ')}`)
  }
  const name = options.name ?? service.name.replace(/_v\d+$/, '')
  return {
    project,
    modelsDir,
    service,
    name,
    version: options.version ?? (options.constant ? '0' : nextVersion(modelsDir, name)),
  }
}

async function train(options: Options, target: Target, further: readonly string[]): Promise<void> {
  const { project, modelsDir, service, name, version } = target
  const { lakeSchema: schema } = definitions(withDefaults(project))
  const scored = scoredOfService(schema, service.name)
  const { from, to, labelDelay, testDays, folds } = options
  if (from === undefined || to === undefined || to <= from)
    throw new RiverbankError('training_empty', '--to is the day after the last one: it must be after --from')
  await runSetup()
  const path = join(root, '.cache', 'training', `${name}-${version}.parquet`)
  console.error('reading the lake')
  const { rows, firstDay } = await writeTrainingTable({
    lakeDir: join(resolve(options.data), 'lake'),
    ...{ schema, scored },
    features: service.features,
    // The validation fold comes before, the test folds after it.
    days: { from: from - labelDelay - testDays, to: to + labelDelay + testDays * folds },
    training: { from, to },
    knownByDay: to + labelDelay,
    path,
  })
  console.error(`${rows} ${scored.plural}; training ${name}/${version}`)
  await runPython('train.py', [
    ...['--table', path, '--out', resolve(modelsDir), '--name', name, '--version', version],
    ...['--feature-set', committedFile(project), '--service', service.name],
    ...['--train-from', String(from - firstDay), '--train-days', String(to - from)],
    ...['--delay-days', String(labelDelay), '--test-days', String(testDays), '--folds', String(folds)],
    ...['--scored', scored.plural, '--entity', schema.key.name],
    ...['--positive', scored.reported, '--positives', pluralOf(scored.reported)],
    ...(project.isShipped ? [] : ['--project', relative(root, project.folder)]),
    ...further,
  ])
}

/** The number after the highest version; ignores versions that are no numbers. */
function nextVersion(modelsDir: string, name: string): string {
  const folder = join(modelsDir, name)
  const versions = existsSync(folder) ? readdirSync(folder).map(Number).filter(Number.isSafeInteger) : []
  return String(Math.max(0, ...versions) + 1)
}

program.parse()
takeProject(process.argv.slice(2), process.env)
try {
  const project = loadProject(process.env)
  await checkCompiled(project)
  const options = program.opts<Options>()
  const target = targetOf(options, project)
  const { modelsDir, service, name, version } = target
  const model = { name, version }
  const [before, policies] = [await championPolicy(modelsDir, service.eventType), await readPolicies(modelsDir, model)]
  if (options.constant) await writeConstantModel(join(modelsDir, name, version), name, version, service)
  else await train(options, target, program.args)
  // Training makes the version's folder anew; the policies that people wrote beside the model must stay.
  await writePolicies(modelsDir, model, policies)
  const scorer = await loadScorer({ modelsDir, name, version, services: [service] })
  await scorer.close()
  if (options.champion || options.constant) {
    const { thresholds } = scorer
    for (const line of await nameChampion(modelsDir, service.eventType, { model, thresholds }, before))
      console.error(line)
  }
} catch (error) {
  if (!isRiverbankError(error)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = isProjectError(error) ? 2 : 1
}

/**
 * The model names the hash of the committed file; the service computes it from the definitions. Errors:
 * `compiled_stale`.
 */
async function checkCompiled(project: LoadedProject): Promise<void> {
  const { manifest } = definitions(withDefaults(project))
  if ((await compiledFreshness(manifest, committedFile(project))) === 'fresh') return
  throw new RiverbankError(
    'compiled_stale',
    `${project.compiledPath} is not fresh: run ${compileCommand(project)} first`,
  )
}
