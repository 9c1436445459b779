import {
  command,
  defaulted,
  flag,
  installation,
  json,
  optional,
  valued,
  type CommandFamily,
} from '../command-line/command.ts'
import {
  deadLetterCode,
  deadLetterCodeOrAll,
  eventId,
  instant,
  instantMs,
  letterId,
  text,
  wholeNumber,
} from '../command-line/arguments.ts'

const filters = {
  eventId: valued('<id>', 'only those of the event with this id', eventId),
  key: valued('<key>', 'only those of records with this key', text),
  since: valued('<time>', 'only those of records that the log took then or later (RFC 3339)', instantMs),
}

const list = command({
  name: 'list',
  description: 'newest last: event, code, detail, and whether it was replayed',
  settings: installation,
  options: {
    code: valued('<code>', 'only those with this code, such as invalid_data', deadLetterCode),
    ...filters,
    json: flag('print one JSON object per line, with the bytes'),
    limit: defaulted('<n>', 'at most so many', wholeNumber, 100),
  },
  async run(config, options) {
    const { listDeadLetters } = await import('./dead-letters/dead-letters.ts')
    return listDeadLetters(config, options)
  },
})

const replay = command({
  name: 'replay',
  description: 'send records back to the topic they came from; those that were replayed before are left out',
  settings: installation,
  arguments: { letter: optional('letter', 'the id of one letter, as list prints it', letterId) },
  options: {
    code: valued('<code>', 'only those with this code, such as invalid_data; "all" for all', deadLetterCodeOrAll),
    ...filters,
    json,
    again: flag('also those that were replayed before'),
    historyFrom: valued('<time>', 'they are history: no time in them is older than this (RFC 3339)', instant),
    dryRun: flag('only count'),
  },
  refuse({ letter, code, eventId: id, key, since }) {
    const isFiltered = [code, id, key, since].some((value) => value !== undefined)
    if (letter === undefined && !isFiltered)
      return "say which letters: a letter's id, --code (all for all), --event-id, --key or --since"
    return letter !== undefined && isFiltered ? "give a letter's id or filters, not both" : null
  },
  async run(config, options) {
    const { replayDeadLetters } = await import('./dead-letters/dead-letters.ts')
    return replayDeadLetters(config, options)
  },
})

export const deadLettersCommands: CommandFamily = {
  name: 'dead-letters',
  description: 'what could not be processed',
  commands: [list, replay],
}
