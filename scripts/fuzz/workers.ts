import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Difference } from './fuzz.ts'

/** A worker's result for one definition. */
type Finding =
  'ready' | { readonly difference: Difference | null; readonly reads: number } | { readonly failure: string }

const worker = fileURLToPath(new URL('worker.js', import.meta.url))

/**
 * Sends the seeds to worker processes, one to each until it has answered. Answers the first difference, or null when
 * there is none. Rejects when a worker fails or ends.
 */
export function fuzzInWorkers(
  seeds: readonly number[],
  workers: number,
  onAgreed: (reads: number) => void,
): Promise<Difference | null> {
  const children: ChildProcess[] = []
  const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-fuzz-'))
  let [sent, agreed] = [0, 0]
  return new Promise<Difference | null>((resolve, reject) => {
    const answer = (child: ChildProcess, found: Finding) => {
      if (found !== 'ready') {
        if ('failure' in found) {
          reject(new Error(found.failure))
          return
        }
        if (found.difference !== null) {
          resolve(found.difference)
          return
        }
        agreed += 1
        onAgreed(found.reads)
        if (agreed === seeds.length) resolve(null)
      }
      const next = seeds[sent]
      if (next === undefined) return
      sent += 1
      child.send(next)
    }
    if (seeds.length === 0) resolve(null)
    for (let i = 0; i < Math.min(workers, seeds.length); i += 1) {
      const child = fork(worker, [tempDir])
      children.push(child)
      child.on('message', (found: Finding) => {
        answer(child, found)
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        reject(new Error(`a worker ended early (${signal ?? code})`))
      })
    }
  }).finally(() => {
    for (const child of children) {
      child.removeAllListeners()
      // Workers hold nothing that needs an orderly end, and may be in the middle of a definition.
      child.kill('SIGKILL')
    }
    rmSync(tempDir, { recursive: true, force: true, maxRetries: 5 })
  })
}
