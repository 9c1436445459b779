import { command, defaulted, environment, flag } from '../command-line/command.ts'
import { wholeNumber } from '../command-line/arguments.ts'
import type { Config } from '../installation/settings/config.ts'

/** Refuses a stale feature set before any role starts. */
async function refuseStale({ project }: Config): Promise<void> {
  const { requireFresh } = await import('../installation/settings/compiled-feature-set.ts')
  await requireFresh(project)
}

const json = flag('log lines are JSON anyway; accepted everywhere')

function role(name: 'process' | 'serve' | 'materialize', description: string) {
  return command({
    name,
    description,
    settings: environment,
    options: { json },
    async run(config) {
      await refuseStale(config)
      const { runNamedRole } = await import('../roles/roles.ts')
      // Exits although libraries may hold something open.
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
      await refuseStale(config)
      const { runAll } = await import('../supervise/up.ts')
      return runAll(config, { processors })
    },
  }),
  role('process', 'events in; features, scores and dead letters out'),
  role('serve', 'HTTP: features, decisions, streams, SQL'),
  role('materialize', 'events and scores into the lake'),
]
