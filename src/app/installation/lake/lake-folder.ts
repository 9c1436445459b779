import { join, resolve } from 'node:path'
import type { Config } from '../settings/config.ts'

export function lakeFolder(config: Pick<Config, 'DATA_DIR'>): string {
  return resolve(join(config.DATA_DIR, 'lake'))
}
