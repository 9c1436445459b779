import type { Command } from 'commander'
import {
  deadLetterCode,
  deadLetterCodeOrAll,
  eventId,
  instant,
  instantMs,
  letterId,
  text,
  wholeNumber,
} from './arguments.ts'
import type { Config } from '../installation/config.ts'
import type { ListOptions, SendOptions } from './dead-letters.ts'

/** `riverbank dead-letters list` and `replay`. */
export function addDeadLettersCommands(program: Command, settings: () => Config): void {
  const deadLetters = program.command('dead-letters').description('what could not be processed')
  const list = deadLetters.command('list').description('newest last: event, code, detail, and whether it was replayed')
  filtered(list.option('--code <code>', 'only those with this code, such as invalid_data', deadLetterCode))
    .option('--json', 'print one JSON object per line, with the bytes')
    .option('--limit <n>', 'at most so many', wholeNumber, 100)
    .action(async (options: ListOptions) => {
      const config = settings()
      const { listDeadLetters } = await import('./dead-letters.ts')
      process.exitCode = await listDeadLetters(config, options)
    })
  const replay = deadLetters
    .command('replay')
    .description('send records back to the topic they came from; those that were replayed before are left out')
    .argument('[letter]', 'the id of one letter, as list prints it', letterId)
    .option('--code <code>', 'only those with this code, such as invalid_data; "all" for all', deadLetterCodeOrAll)
  filtered(replay)
    .option('--json', 'print JSON')
    .option('--again', 'also those that were replayed before')
    .option('--history-from <time>', 'they are history: no time in them is older than this (RFC 3339)', instant)
    .option('--dry-run', 'only count')
    .action(async (letter: string | undefined, options: Omit<SendOptions, 'letter'> & { json?: boolean }) => {
      const { code, eventId: id, key, since } = options
      const filters = [code, id, key, since].filter((value) => value !== undefined)
      if (letter === undefined && filters.length === 0) {
        replay.error("error: say which letters: a letter's id, --code (all for all), --event-id, --key or --since")
      }
      if (letter !== undefined && filters.length > 0) replay.error("error: give a letter's id or filters, not both")
      const config = settings()
      const { replayDeadLetters } = await import('./dead-letters.ts')
      process.exitCode = await replayDeadLetters(config, { ...options, ...(letter === undefined ? {} : { letter }) })
    })
}

function filtered(command: Command): Command {
  return command
    .option('--event-id <id>', 'only those of the event with this id', eventId)
    .option('--key <key>', 'only those of records with this key', text)
    .option('--since <time>', 'only those of records that the log took then or later (RFC 3339)', instantMs)
}
