/**
 * Preloaded into a role by `npm run profile`, and by nothing else. The first SIGUSR2 starts V8's profiler; the second
 * writes `<folder>/<pid>.cpuprofile`. A start by signal leaves the role's start and the warm-up out, as `--cpu-prof`
 * cannot.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { folderVariable } from './recording.ts'

/** µs between two samples: an event takes the processor about 100. */
const intervalUs = 250

const folder = process.env[folderVariable]
if (isMainThread && folder !== undefined) {
  const session = new Session()
  session.connect()
  let isRecording = false
  process.on('SIGUSR2', () => {
    if (isRecording) {
      session.post('Profiler.stop', (error, result) => {
        const path = join(folder, `${process.pid}.cpuprofile`)
        writeFileSync(`${path}.tmp`, error === null ? JSON.stringify(result.profile) : String(error))
        renameSync(`${path}.tmp`, path)
      })
    } else {
      session.post('Profiler.enable')
      session.post('Profiler.setSamplingInterval', { interval: intervalUs })
      session.post('Profiler.start')
    }
    isRecording = !isRecording
  })
}
