import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { between, type Fault } from './faults.ts'
import type { Installation } from './installation.ts'
import { until } from './wait.ts'
import { runLakeRepair } from '../../src/app/commands/lake/lake-repair-command.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { checkLake } from '../../src/lake/check/lake-check.ts'
import type { FileEntry } from '../../src/lake/commit/commit.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import { logFolder } from '../../src/lake/commit/log-files.ts'

/** Longer than some turns of the compaction. */
const noticedMs = 90_000
const lakeDir = ({ config }: Installation) => join(config.DATA_DIR, 'lake')

/**
 * Flips one bit of a committed file, as a disk may. The next compaction must name the file and leave it out; then an
 * operator repairs the lake from the log, while all roles run.
 */
export const flippedBit: Fault = {
  name: 'flipped bit',
  async inflict(installation, random) {
    const { fleet } = installation
    await fleet.untilShared()
    await fleet.untilCommitted(5)
    const damaged = await flipOne(installation, random)
    const isNamed = () => installation.materializer.damaged.has(damaged.path)
    await until('compaction names the damaged file', noticedMs, isNamed)
    return new Map([['flipped bit', await repaired(installation, 'file')]])
  },
}

/** Flips a bit of a small file that the compaction is to merge; takes another one if a merge removed it first. */
async function flipOne(installation: Installation, random: () => number): Promise<FileEntry> {
  const lake = await openLake({ dir: lakeDir(installation) })
  const found: FileEntry[] = []
  await until('a committed file is there to be damaged', noticedMs, async () => {
    const { files } = await lake.snapshot()
    // The newest file of its table: the compaction has not read it yet.
    const file = files.filter(({ table }) => table === 'scores').at(-1)
    if (file === undefined) return false
    const bytes = await readFile(lake.pathOf(file))
    const at = between(random, 4, bytes.length - 5)
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << between(random, 0, 7)), at)
    await writeFile(lake.pathOf(file), bytes)
    found.push(file)
    return true
  })
  const [file] = found
  if (file === undefined) throw new RiverbankError('chaos_stuck', 'the lake has no file of scores')
  return file
}

/**
 * Removes a commit in the middle of the log, or the last ones. Readers must stop with `lake_corrupt`; the restarted
 * materializer must not write, and goes on after the repair.
 */
export const removedCommit: Fault = {
  name: 'removed commit',
  async inflict(installation, random) {
    const { fleet } = installation
    let seen = 0
    for (const isLast of [false, true]) {
      await fleet.untilShared()
      await fleet.untilCommitted(5)
      // The materializer may be behind the processors: on a new installation it has written nothing yet.
      await until('a commit is there to be removed', noticedMs, async () => (await removable(installation)).length > 0)
      await installation.stopMaterializer()
      await removeOne(installation, isLast, random)
      installation.startMaterializer()
      await until('the materializer stops', noticedMs, () => installation.materializer.ended !== null)
      const { failure, ended } = installation.materializer
      if (failure !== 'lake_corrupt') {
        throw new RiverbankError('chaos_unexplained', `the materializer ended with ${failure ?? ended}`)
      }
      seen += await repaired(installation, 'commit')
      installation.startMaterializer()
    }
    return new Map([['removed commit', seen]])
  },
}

/** The commits above the newest checkpoint: readers need each of them. */
async function removable(installation: Installation): Promise<readonly string[]> {
  const names = await readdir(join(lakeDir(installation), logFolder))
  const numbered = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort()
  const base = (numbered(/^\d{20}\.checkpoint\.json$/).at(-1) ?? '').slice(0, 20)
  return numbered(/^\d{20}\.json$/).filter((name) => name.slice(0, 20) > base)
}

async function removeOne(installation: Installation, isLast: boolean, random: () => number): Promise<void> {
  const needed = await removable(installation)
  const victim = isLast ? needed.at(-1) : needed[between(random, 0, Math.max(0, needed.length - 2))]
  if (victim === undefined) throw new RiverbankError('chaos_stuck', 'no commit stands above the newest checkpoint')
  await rm(join(lakeDir(installation), logFolder, victim))
}

/** Runs the check, which must name the damage, and the repair, which must end it; answers how often it was named. */
async function repaired(installation: Installation, kind: 'file' | 'commit'): Promise<number> {
  const dir = lakeDir(installation)
  const { damaged } = (await checkLake({ dir })).report
  const named = damaged.filter((fault) => fault.kind === kind).length
  const { left, check } = await runLakeRepair(installation.config, {}, () => undefined)
  if (left.length > 0 || !check.ok) {
    const told = [...left.map(({ what, why }) => `${what}: ${why}`), JSON.stringify(check.damaged)]
    throw new RiverbankError('chaos_unrepaired', `after the repair: ${told.join('; ')}`)
  }
  return named
}
