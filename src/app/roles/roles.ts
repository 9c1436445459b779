import type { Config } from '../installation/settings/config.ts'
import { giveWay } from './lifecycle/give-way.ts'
import { startMaterialize } from './materialize-role.ts'
import { startProcess } from './process-role.ts'
import { runRole } from './lifecycle/role.ts'
import { startServe } from './serve-role.ts'

const starts = { process: startProcess, serve: startServe, materialize: startMaterialize } as const
export type RoleName = keyof typeof starts

export function runNamedRole(name: RoleName, config: Config): Promise<number> {
  // Before its libraries start threads: they inherit it. The lake may be late for a moment, a decision may not.
  if (name === 'materialize') giveWay()
  return runRole(name, config, starts[name])
}
