/** A role whose one turn of the loop does this: `busy-role.ts loop|wait|bursts`. */
import { setImmediate } from 'node:timers/promises'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { runRole } from '../../../src/app/roles/lifecycle/role.ts'
import { block } from '../../support/busy-loop.ts'

const limitMs = 500
const config = readConfig({ RIVERBANK_STALL_MS: String(limitMs) })

async function work(): Promise<void> {
  const [, , how] = process.argv
  while (how === 'loop');
  // As a process that gets no CPU: its loop stands still, and burns nothing.
  if (how === 'wait') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4 * limitMs)
  for (let n = 0; how === 'bursts' && n < 20; n += 1) {
    block(limitMs / 2)
    // The loop turns, and its timers run.
    for (let turn = 0; turn < 3; turn += 1) await setImmediate()
  }
}

process.exit(await runRole('busy', config, () => Promise.resolve({ finished: work(), stop: () => Promise.resolve() })))
