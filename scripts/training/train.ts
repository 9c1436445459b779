import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { riverbank } from '../../features/index.ts'
import { compileManifest } from '../../src/compile/manifest.ts'
import { assert } from '../../src/core/errors.ts'
import { loadScorer, readRegistry } from '../../src/edges/onnx/load.ts'
import { isModelRefused } from '../../src/edges/onnx/refusal.ts'
import { exportTrainingTable } from './export.ts'

/**
 * The whole way to a model: Python environment, simulated payments through the engine, training, load checks, registry.
 * Takes about five minutes on one core. Further arguments go to train.py (see its --help).
 */
const root = fileURLToPath(new URL('../..', import.meta.url))

const { opts, args } = parse(process.argv.slice(2))
const table = join(root, '.cache', 'training', 'payments.parquet')
await run(join(root, 'scripts/training/setup'), [])
const compiled = compileManifest(riverbank)
checkCompiled(compiled.hash)
if (!opts.reuseTable) {
  const rows = await exportTrainingTable(table, { fromDay: 101, toDay: 157, service: opts.service, progress })
  console.error(`${table}: ${rows} rows`)
}
const { modelsDir, name, version, service } = opts
const model = ['--out', modelsDir, '--name', name, '--version', version, '--service', service]
await run(join(root, '.venv/bin/python'), [
  join(root, 'scripts/training/train.py'),
  ...['--table', table, '--folds', '4', ...model, ...args],
])
await register()

function parse(argv: readonly string[]) {
  const command = new Command('train')
    .description('Trains a model on simulated payments and makes it the champion.')
    .option('--models-dir <dir>', 'folder of the models', join(root, 'models'))
    .option('--name <name>', 'of the model', 'fraud')
    .option('--version <version>', 'of the model', '1')
    .option('--service <service>', 'whose features are its input', 'fraud_v1')
    .option('--reuse-table', 'train on the rows of the last run', false)
    .allowUnknownOption()
    .allowExcessArguments()
    .parse([...argv], { from: 'user' })
  interface Options {
    readonly modelsDir: string
    readonly name: string
    readonly version: string
    readonly service: string
    readonly reuseTable: boolean
  }
  return { opts: command.opts<Options>(), args: command.args }
}

/** The model names the hash of the committed file, and the service computes it from the definitions. */
function checkCompiled(hash: string): void {
  const committed = JSON.parse(readFileSync(join(root, 'features/compiled/feature-set.json'), 'utf8')) as unknown
  const fresh = typeof committed === 'object' && committed !== null && 'hash' in committed && committed.hash === hash
  if (!fresh) throw new Error('features/compiled/feature-set.json is not fresh: run npm run features:compile first')
}

/** Loads the model with all checks, then names it champion; shadows stay. */
async function register(): Promise<void> {
  assert(
    compiled.services.some((candidate) => candidate.name === service),
    `there is a service ${service}`,
  )
  const scorer = await loadScorer({ modelsDir, name, version, services: compiled.services })
  await scorer.close()
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
  console.error(`champion: ${name}/${version} for feature set ${compiled.hash}`)
  console.error(`an installation that has scored before takes it with: riverbank models promote ${name}/${version}`)
}

function progress(day: number): void {
  if (day % 10 === 0) console.error(`day ${day}`)
}

/** Runs a program with our own terminal; rejects when it does not end with 0. */
async function run(program: string, parameters: readonly string[]): Promise<void> {
  const child = spawn(program, parameters, { cwd: root, stdio: 'inherit' })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0) throw new Error(`${program} ended with ${code}`)
}
