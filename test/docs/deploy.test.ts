import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { environmentName, settingSchemas } from '../../src/app/installation/settings/config.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'
import { loadProject } from '../../src/app/installation/settings/project.ts'

const textOf = (path: string) => readFileSync(join(projectFolder, path), 'utf8')
const watching = ['deploy/grafana/dashboards/riverbank.json', 'deploy/prometheus/alerts.yml']

const sources = readdirSync(join(projectFolder, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => textOf(join('src', file)))

/** Metrics as the sources name them, whole or as a beginning that a function puts before each of a family. */
const metrics = new Set([
  ...sources.flatMap((text) => text.match(/\briverbank_[a-z_]+/g) ?? []),
  ...sources.flatMap((text) => {
    const [, beginning] = /`(riverbank_[a-z_]+_)\$\{name\}`/.exec(text) ?? []
    return beginning === undefined ? [] : [...text.matchAll(/'([a-z_]+)'/g)].map(([, name = '']) => beginning + name)
  }),
])

describe('what is deployed', () => {
  test.each(watching)('%s names no domain: it watches any project', (path) => {
    const words = textOf(path).match(/\b(?:payment|fraud|customer|terminal)\w*/gi) ?? []
    expect(words).toEqual([])
  })

  test.each(watching)('%s asks for metrics that the roles have', (path) => {
    const asked = new Set(textOf(path).match(/\briverbank_[a-z_]+/g) ?? [])
    const missing = [...asked].filter((name) => !metrics.has(name.replace(/_(?:bucket|count|sum)$/, '')))
    expect(asked.size).toBeGreaterThan(5)
    expect(missing).toEqual([])
  })

  test('Compose and the image set settings that there are', () => {
    const text = textOf('docker-compose.yml') + textOf('deploy/Dockerfile')
    const set = new Set([...text.matchAll(/^[^#\n]*?\b(RIVERBANK_[A-Z_]+)(?=:|=)/gm)].map(([, name = '']) => name))
    const known = new Set(Object.keys(settingSchemas(loadProject({})).shape).map((setting) => environmentName(setting)))
    expect(set).toContain('RIVERBANK_PROJECT')
    expect([...set].filter((name) => !known.has(name))).toEqual([])
  })
})
