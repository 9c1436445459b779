import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const hasTaskset = spawnSync('taskset', ['--version']).status === 0

/** Only takes processor time. */
const program = 'for (;;);'

/** Processes that want all the time of one core, or of all cores if processes cannot be bound to one. */
export class Burners {
  readonly #children: ChildProcess[]
  readonly #core: number

  /** `count` burners for the core: another process bound to it gets one part in `count` + 1. */
  constructor(count: number, core = 0) {
    this.#core = core
    const all = hasTaskset ? count : count * availableParallelism()
    const args = ['-e', program]
    const start = () =>
      hasTaskset
        ? spawn('taskset', ['-c', String(core), process.execPath, ...args], { stdio: 'ignore' })
        : spawn(process.execPath, args, { stdio: 'ignore' })
    this.#children = Array.from({ length: all }, start)
    process.once('exit', this.stop)
  }

  /** Binds all threads of the process to the core of the burners. */
  bind(pid: number): void {
    if (hasTaskset) spawnSync('taskset', ['-a', '-cp', String(this.#core), String(pid)])
  }

  readonly stop = (): void => {
    process.off('exit', this.stop)
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

/** Lets the process run everywhere again. */
export function unbind(pid: number): void {
  if (hasTaskset) spawnSync('taskset', ['-a', '-cp', `0-${availableParallelism() - 1}`, String(pid)])
}

/** Milliseconds in which the process was ready to run and did not; 0 if the system does not report them. */
export function starvedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1] ?? 0) / 1e6
  } catch {
    return 0
  }
}
