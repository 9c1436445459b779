import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { committedFile, compiledText } from '../src/app/installation/settings/compiled-feature-set.ts'
import { withDefaults } from '../src/app/installation/settings/config.ts'
import { definitions } from '../src/app/installation/settings/definitions.ts'
import { loadProject } from '../src/app/installation/settings/project.ts'
import { isRiverbankError } from '../src/base/errors.ts'
import { projectOption, takeProject } from './project.ts'

/** Writes the compiled feature set; `riverbank features check` compares the committed one with what it would write. */
const program = new Command('npm run features:compile --')
  .description('Writes compiled/feature-set.json into the folder of the project.')
  .option(...projectOption)
  .showHelpAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
program.parse()
takeProject(process.argv.slice(2), process.env)
try {
  const project = loadProject(process.env)
  const { manifest } = definitions(withDefaults(project))
  const target = committedFile(project)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, compiledText(manifest))
  console.log(`${project.compiledPath} ${manifest.hash}`)
} catch (error) {
  if (!isRiverbankError(error)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 2
}
