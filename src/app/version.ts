import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'

/** The version in package.json, which stands beside src/ or, built, beside dist/. */
export function programVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    const url = new URL(path, import.meta.url)
    if (existsSync(url)) return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(url, 'utf8'))).version
  }
  return 'unknown'
}
