import { replaceMethod } from '../internals.ts'

/**
 * kafkajs 2.2.4 answers a fetch out of range by committing -1 or -2 as the group's position and reading on from there:
 * records are skipped in silence, and the position that would prove it is overwritten. There is no option against it, so
 * the method that does it is replaced by one that lets the error through; consumption then ends with `log_truncated`
 * or `log_recreated`. The version is pinned, and a test truncates and recreates a topic under a running consumer.
 */
export function forbidOffsetResets(): void {
  replaceMethod(
    'consumer/consumerGroup.js',
    'recoverFromOffsetOutOfRange',
    () => (error: Error) => Promise.reject(error),
  )
}
