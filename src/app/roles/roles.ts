import { setPriority } from 'node:os'
import type { Config } from '../installation/settings/config.ts'
import { startMaterialize } from './materialize-role.ts'
import { startProcess } from './process-role.ts'
import { runRole } from './lifecycle/role.ts'
import { startServe } from './serve-role.ts'

const starts = { process: startProcess, serve: startServe, materialize: startMaterialize } as const
export type RoleName = keyof typeof starts

/** On a machine that is short of processor time the materializer gets a third of what another role gets. */
const materializePriority = 5

export function runNamedRole(name: RoleName, config: Config): Promise<number> {
  // Before its libraries start threads: they inherit it. The lake may be late for a moment, a decision may not.
  if (name === 'materialize') setPriority(materializePriority)
  return runRole(name, config, starts[name])
}
