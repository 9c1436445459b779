import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Tests that start servers share the machine with them; more than two at once only fight for its cores. */
const serversAtOnce = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)))

/** Ends what hangs, not what is slow: a test may take many times its usual time on a machine that others use. */
const patienceMs = 600_000

export default defineConfig({
  test: {
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
