import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RiverbankError } from '../../../src/base/errors.ts'

/** The folder into which the agent writes; only scripts set it. */
export const folderVariable = 'BENCH_PROFILE_DIR'

/** V8's own format, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** The node of each sample, and the µs since the sample before. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface ProfileNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    /** From 0. */
    readonly lineNumber: number
    readonly columnNumber: number
  }
  readonly children?: readonly number[]
}

const writtenMsMax = 30_000

/** Options of Node that load the agent into a role. */
export function agentOptions(): string[] {
  return ['--import', new URL('./agent.js', import.meta.url).href]
}

/** Profiles a process that runs the agent while `work` runs; answers the file. Errors: `profile_missing`. */
export async function recorded(folder: string, pid: number, work: () => Promise<void>): Promise<string> {
  process.kill(pid, 'SIGUSR2')
  await work()
  process.kill(pid, 'SIGUSR2')
  const file = `${folder}/${pid}.cpuprofile`
  const deadlineMs = performance.now() + writtenMsMax
  while (!existsSync(file)) {
    if (performance.now() > deadlineMs) {
      throw new RiverbankError('profile_missing', `process ${pid} wrote no profile within ${writtenMsMax} ms`)
    }
    await delay(50)
  }
  return file
}

/** With lines of the sources where the build has maps. Errors: `profile_unreadable`. */
export async function readProfile(file: string): Promise<CpuProfile> {
  try {
    const profile = JSON.parse(await readFile(file, 'utf8')) as Partial<CpuProfile>
    const { nodes, samples, timeDeltas } = profile
    if (nodes !== undefined && samples !== undefined && timeDeltas !== undefined) {
      return { nodes: inSources(nodes), samples, timeDeltas }
    }
  } catch (cause) {
    throw new RiverbankError('profile_unreadable', `${file} cannot be read`, { cause })
  }
  throw new RiverbankError('profile_unreadable', `${file} is no CPU profile of V8`)
}

function inSources(nodes: readonly ProfileNode[]): ProfileNode[] {
  const maps = new Map<string, SourceMap | null>()
  return nodes.map((node) => {
    const { url, lineNumber, columnNumber } = node.callFrame
    let map = maps.get(url)
    if (map === undefined) maps.set(url, (map = mapOf(url)))
    const entry = map?.findEntry(lineNumber, columnNumber)
    if (entry === undefined || !('originalLine' in entry)) return node
    return { ...node, callFrame: { ...node.callFrame, lineNumber: entry.originalLine } }
  })
}

function mapOf(url: string): SourceMap | null {
  const file = url.startsWith('file:') ? `${fileURLToPath(url)}.map` : ''
  if (file === '' || !existsSync(file)) return null
  return new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload)
}
