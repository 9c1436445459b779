/** Shared code: its time belongs to its caller; where the profiler has lost the caller, to `alone`. */
export interface Shared {
  readonly alone: string | null
}

const caller: Shared = { alone: null }
/** V8 leaves frames of optimized async functions out at times. */
const mostly = (alone: string): Shared => ({ alone })

/**
 * The stage of each module, by the longest prefix of its path; `file#function` for a file of two stages. A module that
 * is not here is shown under its own name. Paths that no file has any more are found by a test.
 */
export const stageOfModule: Readonly<Record<string, string | Shared>> = {
  'src/base': caller,
  'src/clock': caller,
  'src/events': caller,
  'src/events/event-id-hash.ts': mostly('observe'),
  'src/engine': mostly('observe'),
  'src/isolation': caller,
  'src/ports': caller,
  'src/scoring': caller,

  'src/edges/kafka': caller,
  'src/edges/kafka/batch': 'fetch',
  'src/edges/kafka/batch/batch-writer.ts': 'publish',
  'src/edges/kafka/batch/bytes-writer.ts': 'publish',
  'src/edges/kafka/batch/produce-request.ts': 'publish',
  'src/edges/kafka/group': 'fetch',
  'src/edges/kafka/record.ts#toLogRecord': 'fetch',
  'src/edges/kafka/publisher.ts': 'publish',
  'src/edges/redis/log': caller,
  'src/edges/redis/log/group-member.ts': 'fetch',
  'src/edges/redis/log/held-assignment.ts': 'fetch',
  'src/edges/redis/log/log-publisher.ts': 'publish',
  'src/edges/redis/log/log-tail.ts': 'fetch',
  'src/edges/redis/log/partition-feed.ts': 'fetch',
  'src/edges/redis/log/stream-reader.ts': 'fetch',
  'src/edges/redis/server': caller,
  'src/edges/redis/states': caller,
  'src/edges/redis/states/state-store.ts#load': 'load',
  'src/edges/redis/states/state-store.ts#positions': 'load',
  'src/edges/redis/states/state-store.ts#compareAndSet': 'write',
  'src/edges/redis/states/state-store.ts#advance': 'write',
  'src/edges/redis/cluster': caller,
  'src/edges/prometheus': 'metrics',
  'src/edges/pino': 'log lines',

  'src/process/decode.ts': 'decode',
  'src/process/entity-states.ts': caller,
  'src/process/entity-states.ts#load': 'load',
  'src/process/entity-states.ts#fetch': 'load',
  'src/process/entity-states.ts#decode': 'load',
  'src/process/entity-states.ts#checkNotEmptied': 'load',
  'src/process/entity-states.ts#write': 'write',
  'src/process/entity-states.ts#remember': 'write',
  'src/process/assignment/state-migration.ts': 'load',
  'src/engine/state-codec/state-blob.ts#decodeState': 'load',
  'src/engine/state-codec/state-blob.ts#encodeState': 'encode',
  'src/process/settle.ts': 'observe',
  'src/process/assemble.ts': 'score: vector',
  'src/process/score.ts': 'score: vector',
  'src/process/models': 'score: vector',
  'src/edges/onnx': 'score: model',
  'src/edges/onnx/explanations.ts': 'score: SHAP',
  'src/edges/onnx/trees': 'score: SHAP',
  'src/process/explain.ts': 'score: SHAP',
  'src/scoring/explain': 'score: SHAP',
  'src/process/decide.ts': 'decide',
  'src/process/compose.ts': 'serialize',
  'src/process/output-records.ts': 'serialize',
  'src/process/dead-letters': 'serialize',
  'src/process/metrics.ts': 'metrics',
  'src/process/pipeline.ts': 'pipeline',
  'src/process/processor.ts': 'pipeline',
  'src/process/retry.ts': caller,
  'src/process/turns.ts': 'pipeline',
  'src/process/assignment': 'pipeline',

  'src/serve/events': 'events',
  'src/serve/features': 'features',
  'src/serve/http': 'http',
  'src/serve/scores': 'scores',

  'src/lake/materialize': 'buffer and flush',
  'src/lake/materialize/compaction.ts': 'compaction',
  'src/lake/tables': 'rows',
  'src/lake/commit': 'commit',
  'src/lake/files': 'lists of files',
  'src/edges/duckdb': 'parquet',
}

/** Time that no frame of ours called: of libraries, such as for answers that a socket brought, and of V8 itself. */
export const stageOfLibrary: Readonly<Record<string, string>> = {
  ioredis: '(ioredis, by itself)',
  'redis-parser': '(ioredis, by itself)',
  kafkajs: '(kafkajs, by itself)',
  // Runs the model from a queue of its own.
  'onnxruntime-node': 'score: model',
  'onnxruntime-common': 'score: model',
  hono: '(hono, by itself)',
  '@hono/node-server': '(hono, by itself)',
  'node:': '(node: sockets, timers, promises)',
  '(garbage collector)': '(garbage)',
  '(program)': '(native code outside of JavaScript)',
  '(idle)': '(idle)',
}
