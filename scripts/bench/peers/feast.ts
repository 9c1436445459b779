import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { python } from './environment.ts'
import { PeerProcess } from './peer-process.ts'
import { projectFolder } from '../../../src/app/installation/settings/project-folder.ts'
import { RiverbankError } from '../../../src/base/errors.ts'
import { freePort } from '../../../src/edges/redis/server/server.ts'

export interface FeastServer {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export interface FeastOptions {
  readonly dir: string
  /** The server whose second database keeps the rows. */
  readonly redisUrl: string
  /** How many rows, named by the numbers from 0 on. */
  readonly entities: number
  readonly features: readonly string[]
}

const readyMs = 60_000

/** Fills a store of Feast, and serves it over HTTP from one process, on loopback. */
export async function startFeast({ dir, redisUrl, entities, features }: FeastOptions): Promise<FeastServer> {
  const own = join(dir, 'feast')
  await mkdir(own)
  const port = await freePort()
  const redis = `${new URL(redisUrl).host},db=1`
  const program = new PeerProcess({
    name: 'Feast',
    command: python('feast'),
    args: [
      join(projectFolder, 'scripts/bench/peers/feast/store.py'),
      JSON.stringify({ dir: own, redis, port, entities, features }),
    ],
    cwd: own,
    logFile: join(dir, 'feast.log'),
  })
  try {
    await untilHealthy(program, port)
    return { port, pid: program.pid, stop: () => program.stop() }
  } catch (error) {
    await program.stop()
    throw error
  }
}

async function untilHealthy(program: PeerProcess, port: number): Promise<void> {
  const deadlineMs = performance.now() + readyMs
  for (;;) {
    program.check()
    const isHealthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.ok,
      () => false,
    )
    if (isHealthy) return
    if (performance.now() > deadlineMs) throw new RiverbankError('not_ready', `Feast was not ready in ${readyMs} ms`)
    await delay(100)
  }
}

/** What Feast does not do of what Riverbank does, or does otherwise: one line each. */
export const feastDiffers: readonly string[] = [
  'serves what another program computed and wrote: no windows, so values stay until somebody writes newer ones',
  'its rows have been written once, at random; it stores no state from which a window at another time could be computed',
  'answers timestamps and statuses of each feature, as Riverbank does on the same route; Riverbank computes each window at the read',
]
