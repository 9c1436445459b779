import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const downloadTimeoutMs = 10 * 60_000

export interface MavenJars {
  /** The file that pins the versions. */
  readonly pom: string
  /** Where the jars stand afterwards. */
  readonly dir: string
  /** A jar without which Maven's answer is wrong. */
  readonly main: string
}

/** The file whose presence says that the folder is complete. */
export function markerOf(dir: string): string {
  return join(dir, 'complete')
}

/**
 * Fetches what a pom.xml names from Maven Central once. Safe for concurrent processes: each fetches into a folder of its
 * own, the first rename wins, and no process uses a folder without its marker.
 */
export async function fetchJars({ pom, dir, main }: MavenJars): Promise<void> {
  if (existsSync(markerOf(dir))) return
  await mkdir(dirname(dir), { recursive: true })
  const staging = await mkdtemp(`${dir}.tmp-`)
  try {
    await runMaven(pom, staging)
    const jars = (await readdir(staging)).filter((name) => name.endsWith('.jar'))
    if (!jars.includes(main)) throw new Error(`Maven answered without ${main}`)
    await writeFile(markerOf(staging), `${jars.sort().join('\n')}\n`)
    await moveInto(staging, dir)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

async function moveInto(staging: string, dir: string): Promise<void> {
  try {
    await rename(staging, dir)
  } catch (error) {
    // A folder exists already: another process was faster, or an interrupted run of an older script left it.
    if (existsSync(markerOf(dir))) return
    await rm(dir, { recursive: true, force: true })
    await rename(staging, dir).catch((second: unknown) => {
      if (!existsSync(markerOf(dir))) throw new Error(`cannot create ${dir}`, { cause: second ?? error })
    })
  }
}

function runMaven(pom: string, target: string): Promise<void> {
  const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime']
  const child = spawn('mvn', [...args, `-DoutputDirectory=${target}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: downloadTimeoutMs,
  })
  let output = ''
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`mvn dependency:copy-dependencies failed (${signal ?? code})\n${output}`))
    })
  })
}
