import { dirname, resolve } from 'node:path'

const everything = ['src', 'features', 'examples']

/** What events, features and scores are: no effects. */
const model = ['src/base', 'src/events', 'src/engine', 'src/scoring']

/**
 * The import arrows, whole: a folder may import itself and what stands here. Arrows point down, so whoever reads a
 * folder knows what it can depend on. test/architecture.test.ts tries every pair.
 */
export const arrows = {
  features: ['src/define'],
  examples: ['src/define'],
  'src/base': [],
  'src/events': ['src/base'],
  'src/engine': ['src/base', 'src/events'],
  'src/scoring': ['src/base', 'src/events', 'src/engine'],
  'src/define': ['src/base', 'src/events', 'src/engine'],
  'src/compile': ['src/base', 'src/events', 'src/engine', 'src/define'],
  'src/ports': ['src/events', 'src/scoring'],
  'src/clock': [],
  'src/isolation': ['src/base', 'src/events', 'src/ports', 'src/clock'],
  'src/process': [...model, 'src/ports', 'src/isolation'],
  'src/serve': [...model, 'src/ports', 'src/clock'],
  'src/lake': [...model, 'src/compile', 'src/ports', 'src/isolation'],
  'src/edges': [...model, 'src/ports', 'src/clock'],
  'src/edges/kafka': [...model, 'src/ports', 'src/clock'],
  'src/edges/redis': [...model, 'src/ports', 'src/clock'],
  'src/edges/onnx': [...model, 'src/ports', 'src/clock'],
  'src/edges/duckdb': [...model, 'src/ports', 'src/clock'],
  'src/edges/prometheus': [...model, 'src/ports', 'src/clock'],
  'src/edges/pino': [...model, 'src/ports', 'src/clock'],
  'src/app': everything,
  'src/main.ts': everything,
  scripts: everything,
}

/**
 * Folders that are a room's own: what stands beside them in the room is its interface, and nobody else that ships looks
 * behind it. The tests of the room do.
 */
export const walls = {
  'src/engine': ['src/engine/tiles', 'src/engine/state', 'src/engine/state-codec', 'src/engine/evolution'],
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
export const pureFolders = [...model, 'src/define', 'src/compile', 'features', 'examples']

/** Computation only. */
export const purePackages = ['zod', '@noble/hashes', 'riverbank/define']

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
