import { readFile } from 'node:fs/promises'

/** Linux has so many on every machine we know of; `getconf CLK_TCK` prints it. */
const ticksPerSecond = 100

/**
 * Processor seconds that each process has used so far, by name. Unlike a rate they hardly depend on other load of the
 * machine. Empty without /proc; a process that is gone is left out.
 */
export async function cpuSeconds(pids: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, number>> {
  const used = new Map<string, number>()
  for (const [name, pid] of pids) {
    const seconds = await secondsIn(`/proc/${pid}/stat`)
    if (seconds !== null) used.set(name, seconds)
  }
  return used
}

/** Those of the first thread of a process, which runs its JavaScript; NaN without /proc. */
export async function mainThreadSeconds(pid: number): Promise<number> {
  return (await secondsIn(`/proc/${pid}/task/${pid}/stat`)) ?? NaN
}

async function secondsIn(file: string): Promise<number | null> {
  const stat = await readFile(file, 'utf8').catch(() => null)
  if (stat === null) return null
  // The name in parentheses may hold anything; the state and then numbers follow it: proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
