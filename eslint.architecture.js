import { dirname, resolve } from 'node:path'

const everything = ['src', 'features']

/**
 * The import arrows, whole: a folder may import itself and what stands here. Arrows point down, so whoever reads a
 * folder knows what it can depend on. test/architecture.test.ts tries every pair.
 */
export const arrows = {
  features: ['src/define'],
  'src/core': [],
  'src/define': ['src/core'],
  'src/compile': ['src/define', 'src/core'],
  'src/ports.ts': ['src/core'],
  'src/clock': [],
  'src/isolation': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/process': ['src/core', 'src/compile', 'src/ports.ts', 'src/isolation'],
  'src/serve': ['src/core', 'src/compile', 'src/ports.ts', 'src/clock'],
  'src/lake': ['src/core', 'src/compile', 'src/ports.ts', 'src/isolation'],
  'src/edges': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/kafka': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/redis': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/onnx': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/duckdb': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/prometheus': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/edges/pino': ['src/core', 'src/ports.ts', 'src/clock'],
  'src/app': everything,
  'src/main.ts': everything,
  scripts: everything,
}

/** The only folder of what ships that may import each client. */
export const clients = {
  kafkajs: 'src/edges/kafka',
  ioredis: 'src/edges/redis',
  'onnxruntime-node': 'src/edges/onnx',
  '@duckdb/node-api': 'src/edges/duckdb',
  'prom-client': 'src/edges/prometheus',
  pino: 'src/edges/pino',
}

/** No clients, no node:*, no clock, no chance, no effects. */
export const pureFolders = ['src/core', 'src/define', 'src/compile', 'features']

/** Computation only. */
export const purePackages = ['zod', '@noble/hashes']

/**
 * Imports of ours are relative and carry their extension, so resolving them is arithmetic. A path that does not exist
 * still resolves: the compiler reports it, and the arrows hold for files that are not written yet.
 */
export const pathResolver = {
  interfaceVersion: 3,
  name: 'explicit-paths',
  resolve(source, file) {
    if (!source.startsWith('.')) return { found: false }
    return { found: true, path: resolve(dirname(file), source) }
  },
}
