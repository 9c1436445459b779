import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commands } from '../../src/app/command-line/commands.ts'
import type { CommandEntry } from '../../src/app/command-line/command.ts'
import { optionName } from '../../src/app/command-line/program.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'

const entries = new Map<string, CommandEntry>(
  commands.flatMap((entry) =>
    'commands' in entry
      ? entry.commands.map((each) => [`${entry.name} ${each.name}`, each] as const)
      : [[entry.name, entry] as const],
  ),
)
const families = new Set(commands.flatMap((entry) => ('commands' in entry ? [entry.name] : [])))
const everywhere = ['--project', '--help', '--version']

const pages = [
  ...readdirSync(projectFolder).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(projectFolder, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(projectFolder, 'docs/decisions')).map((name) => `docs/decisions/${name}`),
].filter((name) => name.endsWith('.md'))

const textOf = (page: string) => readFileSync(join(projectFolder, page), 'utf8')

/** Code of a page: what stands between backticks, each line of a fenced block. */
function codeOf(page: string): string[] {
  const text = textOf(page)
  const fenced = [...text.matchAll(/^```[^\n]*\n(.*?)^```/gms)].flatMap(([, block = '']) =>
    block.replaceAll(/\\\n\s*/g, ' ').split('\n'),
  )
  const spans = text.replaceAll(/^```[^\n]*\n.*?^```/gms, '').matchAll(/`([^`]+)`/g)
  return [...fenced, ...[...spans].map(([, code = '']) => code.replaceAll(/\s+/g, ' '))]
}

/** Not what doctor prints of a check, such as `topics warn`. */
const familyFirst = new RegExp(`^(?:${[...families].join('|')}) (?!ok|warn|fail)[a-z].*`)

/** What a piece of code calls: the words after `riverbank`, or those of a family of commands. */
function callsIn(code: string): { readonly words: string[]; readonly options: string[] }[] {
  const named = [...code.matchAll(/(?:^|\s)riverbank (?:-- )?([a-z][^|;#]*)/g)].map(([, call = '']) => call)
  return [...named, ...(familyFirst.exec(code) ?? [])].map((call) => {
    const words = /^[a-z-]+(?: [a-z-]+)*/.exec(call)?.[0].split(' ') ?? []
    const options = call.replaceAll(/"[^"]*"/g, '').match(/--[a-z][a-z-]*/g) ?? []
    return { words, options }
  })
}

/** Cells of the first column of the table of commands: a span of one word goes on with the family before it. */
function listedInReadme(): string[] {
  const [, table = ''] = /^## The command line$(.*?)^## /ms.exec(textOf('README.md')) ?? []
  const cells = [...table.matchAll(/^\| (`.*?`) +\|/gm)].map(([, cell = '']) => cell)
  return cells.flatMap((cell) => {
    let family = ''
    return [...cell.matchAll(/`([^`]+)`/g)].map(([, span = '']) => {
      const [first = '', second] = span.split(' ')
      if (second !== undefined) family = `${first} `
      return second === undefined ? `${family}${first}` : span
    })
  })
}

describe('the documentation of the command line', () => {
  test('README lists every command of the program, once, and no other', () => {
    expect(listedInReadme().toSorted()).toEqual([...entries.keys()].toSorted())
  })

  test.each(pages)('%s calls only commands and options that there are', (page) => {
    const calls = codeOf(page).flatMap((code) => callsIn(code))
    const unknown = calls.flatMap(({ words: [first = '', second = ''], options }) => {
      const name = families.has(first) ? `${first} ${second}`.trimEnd() : first
      // A family alone is all of its commands.
      if (name === first && families.has(first)) return []
      const entry = entries.get(name)
      if (entry === undefined) return [name]
      const known = [...everywhere, ...Object.keys(entry.options).map((option) => optionName(option))]
      return options.filter((option) => !known.includes(option)).map((option) => `${name} ${option}`)
    })
    expect(unknown).toEqual([])
  })
})
