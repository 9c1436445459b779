import type { CommandEntry, CommandFamily } from './command.ts'
import { deadLettersCommands } from '../commands/dead-letters-commands.ts'
import { doctorCommands } from '../commands/doctor-commands.ts'
import { featuresCommands } from '../commands/features-commands.ts'
import { historyCommands } from '../commands/history-commands.ts'
import { lakeCommands } from '../commands/lake-commands.ts'
import { modelsCommands } from '../commands/models-commands.ts'
import { rolesCommands } from '../commands/roles-commands.ts'
import { statesCommands } from '../commands/states-commands.ts'
import { topicsCommands } from '../commands/topics-commands.ts'

/** Every command of `riverbank`, in the order of its help. README lists the same (test/docs/commands.test.ts). */
export const commands: readonly (CommandEntry | CommandFamily)[] = [
  ...rolesCommands,
  topicsCommands,
  ...historyCommands,
  ...statesCommands,
  lakeCommands,
  deadLettersCommands,
  modelsCommands,
  featuresCommands,
  ...doctorCommands,
]
