/** The thread of loop-watch.ts. It writes its one line itself: the main thread no longer writes. */
import { readFileSync, writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import type { WatchedLoop } from './loop-watch.ts'

// From loop-watch.ts, in the same build.
const { beats, limitMs, lookMs, role } = workerData as WatchedLoop
/** Linux counts the CPU of a thread in ticks of so many milliseconds. */
const clockTickMs = 10
const stderr = 2

/** The CPU of the main thread on Linux; elsewhere of the whole process, whose other threads are mostly idle. */
function burntMs(): number {
  try {
    const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1')
    // The name of the thread may hold anything: numbers follow its last parenthesis, utime is the twelfth.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * clockTickMs
  } catch {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  }
}

let seen = -1
let burntThenMs = 0
setInterval(() => {
  const beat = Atomics.load(beats, 0)
  const nowMs = burntMs()
  if (beat !== seen) {
    seen = beat
    burntThenMs = nowMs
    return
  }
  const cpuMs = nowMs - burntThenMs
  if (cpuMs < limitMs) return
  const told = { level: 'error', time: new Date().toISOString(), role, pid: process.pid, code: 'loop_stalled', cpuMs }
  writeSync(
    stderr,
    `${JSON.stringify({ ...told, message: 'one turn of the loop does not end: killing this process' })}\n`,
  )
  process.kill(process.pid, 'SIGKILL')
}, lookMs)
