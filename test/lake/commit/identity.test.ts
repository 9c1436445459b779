import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { lakeIdentity } from '../../../src/lake/commit/identity.ts'
import { tempFolder } from '../support/feed.ts'

const folders = [tempFolder(), tempFolder(), tempFolder()] as const
afterAll(() => {
  for (const { remove } of folders) remove()
})

it('is made once, however many ask first, and differs from lake to lake', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => lakeIdentity(folders[0].dir)))
  expect(new Set(ids).size).toBe(1)
  expect(await lakeIdentity(folders[0].dir)).toBe(ids[0])
  expect(await lakeIdentity(folders[1].dir)).not.toBe(ids[0])
})

it('is never guessed where its file is damaged', async () => {
  writeFileSync(join(folders[2].dir, 'identity.json'), '{"format":1,"id":""}')
  await expect(lakeIdentity(folders[2].dir)).rejects.toMatchObject({ code: 'lake_corrupt' })
})
