import { expect, test } from 'vitest'
import { asGiven, wholeNumber, wholeNumberOrAll } from '../../../src/app/command-line/arguments.ts'
import {
  command,
  defaulted,
  flag,
  optional,
  required,
  valued,
  type SettingsSource,
} from '../../../src/app/command-line/command.ts'
import { programOf } from '../../../src/app/command-line/program.ts'

const settings: SettingsSource<string> = { from: 'none', read: () => 'settings' }

/** What a command is run with when it is called so. */
async function given(...args: string[]): Promise<unknown> {
  let seen: unknown
  const measure = command({
    name: 'measure',
    description: 'for a test',
    settings,
    arguments: { from: required('from', 'one end'), upTo: optional('to', 'another end', asGiven) },
    options: {
      loud: flag('say it'),
      pendingMax: valued('<n>', 'a limit', wholeNumber),
      unit: defaulted('<unit>', 'what it counts', asGiven, 'm'),
      states: valued('<n>', 'how many', wholeNumberOrAll),
    },
    run: async (read, all) => {
      seen = { read, ...all }
      return 3
    },
  })
  const program = programOf([{ name: 'tape', description: 'a family', commands: [measure] }])
  await program.parseAsync(['tape', 'measure', ...args], { from: 'user' })
  expect(process.exitCode).toBe(3)
  process.exitCode = undefined
  return seen
}

test('a command is run with its settings, its arguments and its options by their names, and answers the exit code', async () => {
  expect(await given('here', 'there', '--loud', '--pending-max', '7', '--unit', 'km')).toEqual({
    read: 'settings',
    from: 'here',
    upTo: 'there',
    loud: true,
    pendingMax: 7,
    unit: 'km',
  })
})

test('what was not given is absent, unless it has a default', async () => {
  expect(await given('here')).toEqual({ read: 'settings', from: 'here', unit: 'm' })
})

test('a number of all is larger than any', async () => {
  expect(await given('here', '--states', 'all')).toMatchObject({ states: Infinity })
})

test.for(['', ' 5', '1e3', '-1', '0x10', '3.0'])('"%s" is no whole number', (text) => {
  expect(() => wholeNumber(text)).toThrow('a whole number is needed')
  expect(() => wholeNumberOrAll(text)).toThrow('a whole number or "all" is needed')
})
