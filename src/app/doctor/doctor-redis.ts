import { fail, ok, warn, type Finding } from './doctor.ts'

const redisMajorMin = 7
const hashSlotCount = 16_384

/** Properties that a server reports; empty strings for those that it does not. */
export interface RedisReport {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly appendonly: string
  readonly appendfsync: string
}

export interface ClusterReport {
  readonly state: string
  readonly hashSlotsServed: number
  readonly primaries: ReadonlyMap<string, RedisReport>
  readonly replicas: number
}

export function redisFinding({ version, maxmemoryPolicy, appendonly, appendfsync }: RedisReport): Finding {
  const told = `${version}, maxmemory-policy ${maxmemoryPolicy || '?'}, appendonly ${appendonly}, appendfsync ${appendfsync || '?'}`
  const major = Number(/\d+/.exec(version)?.[0] ?? 0)
  if (major < redisMajorMin) return fail(told, `use Redis ${redisMajorMin} or newer, or Valkey`)
  if (maxmemoryPolicy !== '' && maxmemoryPolicy !== 'noeviction') {
    return fail(told, 'set maxmemory-policy noeviction: any other drops states and positions in silence')
  }
  if (appendonly !== 'yes') {
    return warn(told, 'set appendonly yes: without it a restart of redis loses all states and they are rebuilt')
  }
  if (appendfsync === 'no') return warn(told, 'set appendfsync everysec or always: no leaves it to the kernel')
  return ok(told)
}

/** A cluster is as good as the worst of its primaries. */
export function clusterFinding({ state, hashSlotsServed, primaries, replicas }: ClusterReport): Finding {
  const told = `${primaries.size} primaries, ${replicas} replicas, cluster_state ${state || '?'}`
  if (hashSlotsServed < hashSlotCount) {
    return fail(`${told}, ${hashSlotsServed} of ${hashSlotCount} slots served`, 'repair it: redis-cli --cluster fix')
  }
  if (state !== 'ok') return fail(told, 'repair it: redis-cli --cluster check says what is wrong')
  const findings = [...primaries].map(([address, facts]) => ({ address, ...redisFinding(facts) }))
  const worst = findings.find(({ status }) => status === 'fail') ?? findings.find(({ status }) => status === 'warn')
  if (worst !== undefined) {
    return { status: worst.status, detail: `${told}; ${worst.address}: ${worst.detail}`, fix: worst.fix }
  }
  return ok(`${told}; each: ${findings[0]?.detail ?? '?'}`)
}
