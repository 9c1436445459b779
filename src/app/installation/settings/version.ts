import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { projectFolder } from './project-folder.ts'

/** The version in package.json, or `unknown` where there is none. */
export function programVersion(): string {
  try {
    const text = readFileSync(join(projectFolder, 'package.json'), 'utf8')
    return z.object({ version: z.string() }).parse(JSON.parse(text)).version
  } catch {
    return 'unknown'
  }
}
