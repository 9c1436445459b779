import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Tests that start servers share the machine with them; more than two at once only fight for its cores. */
const serversAtOnce = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)))

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
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: ['test/**/*.int.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: serversAtOnce,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
