import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { built } from './built.ts'
import * as support from './python.ts'

test('the build that npm test asks for Python names the same environments as the sources do', async () => {
  const asked = (await import(pathToFileURL(built('test/support/python.ts')).href)) as typeof support
  const environments = ({ python, clientPrograms, makersPython }: typeof support) => [
    python,
    clientPrograms,
    makersPython,
  ]
  expect(environments(asked)).toEqual(environments(support))
})
