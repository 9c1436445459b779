import { command, flag, json, unread } from '../command-line/command.ts'

export const doctorCommands = [
  command({
    name: 'doctor',
    description: 'what is installed, reachable and misconfigured, and what to do',
    settings: unread,
    options: { json, settings: flag('print every setting with its default instead') },
    async run(env, options) {
      const { doctorCommand } = await import('../doctor/doctor-command.ts')
      return doctorCommand(env, options)
    },
  }),
]
