import type { Config } from '../installation/settings/config.ts'
import { startMaterialize } from './materialize-role.ts'
import { startProcess } from './process-role.ts'
import { runRole } from './lifecycle/role.ts'
import { startServe } from './serve-role.ts'

const starts = { process: startProcess, serve: startServe, materialize: startMaterialize } as const
export type RoleName = keyof typeof starts

export function runNamedRole(name: RoleName, config: Config): Promise<number> {
  return runRole(name, config, starts[name])
}
