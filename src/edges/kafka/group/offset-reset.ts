import { replaceMethod } from '../internals.ts'

/**
 * kafkajs 2.2.4 answers a fetch out of range by committing -1 or -2 as the group's position and reading on from there:
 * it skips records in silence, and overwrites the position that would prove it. It has no option against that, so this
 * replaces the method by one that lets the error through; consumption then ends with `log_truncated` or
 * `log_recreated`. The version is pinned, and a test truncates and recreates a topic under a running consumer.
 */
export function forbidOffsetResets(): void {
  replaceMethod(
    'consumer/consumerGroup.js',
    'recoverFromOffsetOutOfRange',
    () => (error: Error) => Promise.reject(error),
  )
}
