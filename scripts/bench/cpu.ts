import { readFile } from 'node:fs/promises'

/** Of Linux on every machine we know of; `getconf CLK_TCK` says so. */
const ticksPerSecond = 100

/**
 * Processor seconds that each process has used so far, by name. Unlike a rate it hardly depends on what else runs on
 * the machine. Empty where there is no /proc; a process that is gone is left out.
 */
export async function cpuSeconds(pids: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, number>> {
  const used = new Map<string, number>()
  for (const [name, pid] of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
    if (stat === null) continue
    // The name in parentheses may hold anything; after it come the state and from there on numbers: proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    used.set(name, (Number(fields[11]) + Number(fields[12])) / ticksPerSecond)
  }
  return used
}
