import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { names, readConfig, readProject } from '../../../../src/app/installation/settings/config.ts'
import { definitions } from '../../../../src/app/installation/settings/definitions.ts'
import { loadProject } from '../../../../src/app/installation/settings/project.ts'

const logins = { RIVERBANK_PROJECT: 'examples/logins' }

describe('the project of an installation', () => {
  let dir: string
  beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'riverbank-project-'))))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  const project = (name: string, index: string | null) => {
    mkdirSync(join(dir, name))
    writeFileSync(join(dir, name, 'package.json'), '{"type":"module"}')
    if (index !== null) writeFileSync(join(dir, name, 'index.js'), index)
    return { RIVERBANK_PROJECT: join(dir, name) }
  }
  const of = (features: string, more = '') =>
    `export const one = { kind: 'riverbank project', name: 'one', settings: {}, features: ${features}${more} }\n`

  test('is the shipped one where nobody names another', () => {
    const { definition, isShipped, compiledPath } = loadProject({})
    expect([definition.name, isShipped, compiledPath]).toEqual(['payments', true, 'features/compiled/feature-set.json'])
    expect(loadProject({ RIVERBANK_PROJECT: 'features' })).toEqual(loadProject({}))
  })

  test('is that of the folder that the environment names, with its models, topics and settings', () => {
    const config = readConfig(logins)
    expect(definitions(config).manifest.services.map(({ name }) => name)).toEqual(['takeover_v1', 'reset_v1'])
    expect(config.MODELS_DIR).toBe(join(config.project.folder, 'models'))
    expect(names(config).topics.events).toBe('logins.events')
    expect(() => readConfig({ ...logins, RIVERBANK_CURRENCY: 'EUR' })).toThrow('RIVERBANK_CURRENCY: no such setting')
    expect(readConfig({ ...logins, RIVERBANK_MODELS_DIR: 'elsewhere' }).MODELS_DIR).toBe('elsewhere')
  })

  test.each([
    ['that is not there', () => ({ RIVERBANK_PROJECT: join(dir, 'none') }), 'project_missing', 'there is no folder'],
    ['without an index', () => project('empty', null), 'project_missing', 'has no index.ts that exports a project'],
    [
      'that exports something else',
      () => project('other', 'export const a = 1\n'),
      'project_refused',
      'exports no project',
    ],
    [
      'that exports two projects',
      () => project('two', `${of('() => null')}export const second = { ...one }\n`),
      'project_refused',
      'exports more than one project',
    ],
    ['that does not parse', () => project('broken', 'export const = 1\n'), 'project_refused', 'Unexpected token'],
    [
      'with a mistake in a definition',
      () => project('mistake', of(`() => { throw new Error('view "a_b": has no feature c') }`)),
      'project_refused',
      'view "a_b": has no feature c',
    ],
    [
      'that waits while it is loaded',
      () => project('waits', `await Promise.resolve()\n${of('() => null')}`),
      'project_refused',
      'top-level await',
    ],
  ] as const)('%s is refused with a code and one sentence', (_, env, code, told) => {
    const given = env()
    for (const read of [readConfig, readProject]) {
      const refused = expect.objectContaining({ code, message: expect.stringContaining(told) as string }) as Error
      expect(() => read(given)).toThrow(refused)
    }
  })

  test('cannot take a setting of the service for its own', () => {
    const taken = `export const one = { kind: 'riverbank project', name: 'one', features: () => null,
      settings: { PARTITIONS: { safeParse: () => ({ success: true }) } } }\n`
    expect(() => readConfig(project('taken', taken))).toThrow('the setting PARTITIONS is one of the service')
  })
})
