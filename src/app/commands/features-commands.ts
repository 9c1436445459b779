import { command, json, optional, project, required, valued, type CommandFamily } from '../command-line/command.ts'
import { asGiven } from '../command-line/arguments.ts'

const featuresCommand = async () => (await import('./features/features-command.ts')).featuresCommand

const list = command({
  name: 'list',
  description: 'every feature, or those of an entity, a view, a service',
  settings: project,
  options: {
    json,
    entity: valued('<name>', 'only those of this entity', asGiven),
    view: valued('<name>', 'only those of this view', asGiven),
    service: valued('<name>', "only this service's vector, in its order", asGiven),
  },
  run: async (installed, filter) => (await featuresCommand())(installed, { kind: 'list', filter }, filter),
})

const show = command({
  name: 'show',
  description: 'definition, slots, who reads it, and what it costs in the state of an entity',
  settings: project,
  arguments: { name: required('feature|view', 'its name') },
  options: { json },
  run: async (installed, { name, ...options }) => (await featuresCommand())(installed, { kind: 'show', name }, options),
})

const diff = command({
  name: 'diff',
  description: 'what changed between two compiled feature sets; exit code 1 when anything did',
  settings: project,
  arguments: {
    before: required('before', 'a compiled feature set, such as features/compiled/feature-set.json of another commit'),
    after: optional('after', 'another; without it the definitions of this program', asGiven),
  },
  options: { json },
  run: async (installed, paths) => (await featuresCommand())(installed, { kind: 'diff', ...paths }, paths),
})

const check = command({
  name: 'check',
  description: 'is the committed feature set what the definitions say? exit code 1 when not',
  settings: project,
  options: { json },
  run: async (installed, options) => (await featuresCommand())(installed, { kind: 'check' }, options),
})

export const featuresCommands: CommandFamily = {
  name: 'features',
  description: 'what the features are; needs no server',
  commands: [list, show, diff, check],
}
