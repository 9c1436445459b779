import {
  command,
  defaulted,
  installation,
  json,
  required,
  valued,
  type CommandFamily,
} from '../command-line/command.ts'
import { asGiven, wholeNumber } from '../command-line/arguments.ts'

const list = command({
  name: 'list',
  description: 'generations of models, newest first: who decides, whose scores are logged, where each took effect',
  settings: installation,
  options: { json, limit: defaulted('<n>', 'at most so many', wholeNumber, 20) },
  async run(config, options) {
    const { listModels } = await import('./models/models-command.ts')
    return listModels(config, options)
  },
})

const model = required('name/version', 'such as fraud/2')

const register = command({
  name: 'register',
  description:
    'check a model, and count the covers its trees lack over scored events of the lake, for reasons; before promoting',
  settings: installation,
  arguments: { model },
  options: { json },
  async run(config, given) {
    const { registerModel } = await import('./models/register-command.ts')
    return registerModel(config, given.model, given.json === true)
  },
})

const changeOptions = {
  json,
  reason: valued('<text>', 'kept with the generation', asGiven),
  wait: defaulted('<seconds>', 'how long to wait until it has taken effect everywhere', wholeNumber, 10),
  scores: valued(
    '<event type>',
    'whose models are meant, where several types are scored and the model is not here',
    asGiven,
  ),
}
const refusedCode = 'exit code 1 when a processor refuses it'

function change(kind: 'promote' | 'shadow' | 'retire', description: string) {
  return command({
    name: kind,
    description: `${description}; ${refusedCode}`,
    settings: installation,
    arguments: { model },
    options: changeOptions,
    async run(config, given) {
      const { changeModels } = await import('./models/models-command.ts')
      return changeModels(config, { kind, model: given.model }, given)
    },
  })
}

const rollback = command({
  name: 'rollback',
  description: `go back to the models before the last change; ${refusedCode}`,
  settings: installation,
  options: changeOptions,
  async run(config, given) {
    const { changeModels } = await import('./models/models-command.ts')
    return changeModels(config, { kind: 'rollback' }, given)
  },
})

export const modelsCommands: CommandFamily = {
  name: 'models',
  description: 'which models score; changes take effect without a restart',
  commands: [
    list,
    register,
    change('promote', 'let a model decide'),
    change('shadow', 'score with a model beside the champion, without acting on it'),
    change('retire', 'stop a shadow'),
    rollback,
  ],
}
