import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Project } from '../../src/define/project.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { installProject } from '../../src/app/installation/settings/project.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'
import { decodeEvent } from '../../src/events/decode-event.ts'

test('the project of the page on the language compiles, whole, and takes the event that it shows', async () => {
  const page = readFileSync(join(projectFolder, 'docs/language.md'), 'utf8')
  const [, code = ''] = /```ts\n(.*?)```/s.exec(page) ?? []
  mkdirSync(join(projectFolder, '.cache'), { recursive: true })
  const folder = mkdtempSync(join(projectFolder, '.cache', 'language-'))
  try {
    writeFileSync(join(folder, 'index.ts'), code)
    const exported = (await import(join(folder, 'index.ts'))) as { readonly rideShop: Project }
    const project = { definition: exported.rideShop, folder, isShipped: false, compiledPath: '' }
    const { catalog, manifest, lakeSchema } = definitions(installProject(project, {}))
    expect(manifest.services.map(({ name, eventType }) => [name, eventType])).toEqual([
      ['dispute_v1', 'ride.requested'],
    ])
    expect(lakeSchema.views.map(({ name }) => name)).toEqual(['rides'])
    const data = catalog.get('ride.requested')?.examples[0]
    const time = new Date().toISOString()
    const envelope = { specversion: '1.0', id: 'e', type: 'ride.requested', source: 'urn:docs', subject: 'r-1', time }
    const bytes = new TextEncoder().encode(JSON.stringify({ ...envelope, data }))
    expect(decodeEvent(bytes, catalog, Date.now())).toMatchObject({ kind: 'valid', event: { aggregateId: 'r-1' } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
