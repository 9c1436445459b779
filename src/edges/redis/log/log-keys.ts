import { assert } from '../../../base/errors.ts'

/** Keys of one partition share a hash tag, so that a script finds them all on one node of a cluster. */
export interface PartitionKeys {
  readonly stream: string
  /** Hash: incarnation, start, end, bytes, time of the last append, limits, and the open segment. */
  readonly meta: string
  /** Hash: group → committed position; empty when the group registered and has not committed. */
  readonly groups: string
  /** List of `<next offset> <bytes> <newest time>` per closed segment, oldest first: trimming drops whole segments. */
  readonly segments: string
  /** String with a TTL: the token of the assignment that holds the partition for the group. */
  lease(group: string): string
}

export interface TopicKeys {
  /** Hash: incarnation, partitions, limits. */
  readonly topic: string
  /** Sorted set: member → the time at which it counts as gone (milliseconds, redis' clock). */
  members(group: string): string
}

const plainName = /^[A-Za-z0-9._-]{1,200}$/

export function topicKeys(namespace: string, topic: string): TopicKeys {
  assert(plainName.test(topic), `"${topic}" is not a topic name: letters, digits, ".", "_" and "-"`)
  const base = `${namespace}:log:{${topic}}`
  return { topic: base, members: (group) => `${base}:members:${checked(group)}` }
}

export function partitionKeys(namespace: string, topic: string, partition: number): PartitionKeys {
  const base = `${namespace}:log:{${topic}/${partition}}`
  return {
    stream: `${base}:stream`,
    meta: `${base}:meta`,
    groups: `${base}:groups`,
    segments: `${base}:segments`,
    lease: (group) => `${base}:lease:${checked(group)}`,
  }
}

function checked(group: string): string {
  assert(plainName.test(group), `"${group}" is not a group name: letters, digits, ".", "_" and "-"`)
  return group
}
