import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lakeFinding } from '../../../src/app/doctor/doctor-lake.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { flipBit } from '../../lake/support/damage.ts'
import { batchOf, claimOf, materializer, record, tempFolder, topics } from '../../lake/support/feed.ts'

test('doctor names a damaged file and a missing commit of the lake, and says what to do', async () => {
  const folder = tempFolder()
  try {
    expect(await lakeFinding(folder.dir)).toMatchObject({ status: 'ok', detail: 'none yet' })
    const lake = await openLake({ dir: join(folder.dir, 'lake') })
    const m = await materializer(lake)
    const assignment = claimOf(topics.events, 0)
    await m.assigned(assignment)
    await m.batch(assignment, batchOf([record(topics.events, 0, '{')]))
    await m.stop()
    expect(await lakeFinding(folder.dir)).toMatchObject({ status: 'ok', detail: 'version 2, checksums of 1 files' })
    const [file] = (await lake.snapshot()).files
    if (file === undefined) throw new Error('there is one')
    flipBit(lake.pathOf(file))
    rmSync(join(folder.dir, 'lake/_log/00000000000000000001.json'))
    const found = await lakeFinding(folder.dir)
    expect(found).toMatchObject({ status: 'fail', fix: 'riverbank lake repair says what can be done' })
    expect(found.detail).toContain('commit 00000000000000000001.json: missing')
    expect(found.detail).toContain(`file ${file.path}: wrong_checksum, ${topics.events} partition 0 offsets 0 to 0`)
  } finally {
    folder.remove()
  }
})
