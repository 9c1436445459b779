import { afterEach, beforeEach } from 'vitest'
import { tempFolder } from './feed.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'

/** Of every test of a file that imports this: an empty lake in a folder of its own. */
export let folder: ReturnType<typeof tempFolder>
export let lake: Awaited<ReturnType<typeof openLake>>

beforeEach(begin)
afterEach(() => folder.remove())

/** Another empty lake within one test. */
export async function renewLake(): Promise<void> {
  folder.remove()
  await begin()
}

async function begin(): Promise<void> {
  folder = tempFolder()
  lake = await openLake({ dir: folder.dir })
}
