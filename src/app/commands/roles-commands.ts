import { command, defaulted, environment, flag } from '../command-line/command.ts'
import { wholeNumber } from '../command-line/arguments.ts'

const json = flag('log lines are JSON anyway; accepted everywhere')

function role(name: 'process' | 'serve' | 'materialize', description: string) {
  return command({
    name,
    description,
    settings: environment,
    options: { json },
    async run(config) {
      const { runNamedRole } = await import('../roles/roles.ts')
      // What its libraries leave open keeps no role alive.
      process.exit(await runNamedRole(name, config))
    },
  })
}

export const rolesCommands = [
  command({
    name: 'up',
    description: 'run all roles, restart what crashes',
    settings: environment,
    options: { processors: defaulted('<n>', 'how many processors', wholeNumber, 1), json },
    async run(config, { processors }) {
      const { runAll } = await import('../supervise/up.ts')
      return runAll(config, { processors })
    },
  }),
  role('process', 'events in; features, scores and dead letters out'),
  role('serve', 'HTTP: features, decisions, streams, SQL'),
  role('materialize', 'events and scores into the lake'),
]
