import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { defineConfig, type Plugin } from 'vitest/config'
import { ensureBuild } from './scripts/bootstrap/build.mjs'

/** Tests that start servers share the machine with them, and wait for them most of the time: more than two at once only fight for its cores. */
const serversAtOnce = Math.min(2, availableParallelism())

/** Ends what hangs, not what is slow: a test may take many times its usual time on a machine that others use. */
const patienceMs = 600_000
const build = await ensureBuild({ tests: true })

/**
 * Modules of ours are those of the build as far as they can tell: what stands beside one, for it to start as a process,
 * is JavaScript. Tests start programs from the build too (test/support/built.ts).
 */
const inBuild: Plugin = {
  name: 'in-build',
  enforce: 'pre',
  transform(code, id) {
    const path = relative(import.meta.dirname, id)
    if (!/^(src|scripts|features|examples)\/.*\.ts$/.test(path) || !code.includes('import.meta.url')) return null
    const url = pathToFileURL(join(build, path.replace(/\.ts$/, '.js'))).href
    return { code: code.replaceAll('import.meta.url', JSON.stringify(url)), map: null }
  },
}

export default defineConfig({
  plugins: [inBuild],
  // What a project imports: the sources, not what a build for production made of them.
  resolve: { alias: { 'riverbank/define': join(import.meta.dirname, 'src/define/language.ts') } },
  test: {
    env: { TEST_BUILD: build },
    // A fork per file: native modules (ONNX, DuckDB) and signals do not get along with worker threads.
    pool: 'forks',
    teardownTimeout: 20_000,
    reporters: ['default', './test/support/outcome-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.int.test.ts'],
          testTimeout: patienceMs,
          hookTimeout: patienceMs,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: ['test/**/*.int.test.ts'],
          testTimeout: patienceMs,
          hookTimeout: patienceMs,
          maxWorkers: serversAtOnce,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
