import { join } from 'node:path'

/** The JavaScript of a file of the repository, such as `src/main.ts`: what a test starts as a process runs that. */
export function built(file: string): string {
  const build = process.env['TEST_BUILD']
  if (build === undefined) throw new Error('vitest.config.ts says where the build is: run this under vitest')
  return join(build, file.replace(/\.ts$/, '.js'))
}
