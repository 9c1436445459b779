import { Command, InvalidArgumentError, Option } from 'commander'
import { isRiverbankError } from '../src/base/errors.ts'
import { isProjectError } from '../src/app/installation/settings/project.ts'
import { projectOption, takeProject } from './project.ts'
import { runDemo, type DemoOptions } from './demo/run.ts'

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on')
  return value
}

const program = new Command('npm start --')
  .description(
    'Runs everything on this machine and feeds it what the project simulates: up to 30 days of history that end now, then\n' +
      'live traffic. With --events and --exit: so many scored events, a JSON summary as the last line, and an exit code.',
  )
  .option(...projectOption)
  .option('--events <n>', 'how many scored events of the history, from its first day on', positive)
  .option('--days <n>', 'days of history, at most 30; without it as many as this machine takes in good time', positive)
  .option('--exit', 'stop when everything is scored, in the lake and verified')
  .option('--data <dir>', 'folder for everything that is kept')
  .option('--rate <n>', 'live scored events per second', positive, 50)
  .option('--port <n>', 'HTTP port; without it 8080, or a free one when that is taken', positive)
  .addOption(new Option('--log <driver>', 'what carries the events (redis)').choices(['redis', 'kafka']))
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

/** A bug shows where it is. */
function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Codes of a project that lacks what a demo needs: the demo has started nothing. */
const unready = ['project_without_simulator', 'model_refused']

program.parse()
takeProject(process.argv.slice(2), process.env)
try {
  process.exitCode = await runDemo(program.opts<DemoOptions>())
} catch (error) {
  process.stderr.write(`${isRiverbankError(error) ? `${error.code}: ${error.message}` : describeBug(error)}\n`)
  // `process.exit` waits for the threads of libraries, such as a query of verify.
  if (isRiverbankError(error, 'did_not_stop')) process.kill(process.pid, 'SIGKILL')
  process.exitCode = isProjectError(error) || unready.some((code) => isRiverbankError(error, code)) ? 2 : 1
}
// Exits although a library may hold something open.
process.exit()
