import { RedisScript } from '../server/connection.ts'

/*
 * The scripts of consumer groups. A lease holds the token of the assignment that owns a partition:
 * `<member>/<number>`. It ends when its owner was silent for too long; the partition's field `holder:<group>` keeps
 * the token until another member takes it. So an owner that was only slow goes on unless another member came after it:
 * then it is fenced. All scripts run at the memory limit too: the log cannot trim records that a group cannot commit.
 */

/**
 * KEYS topic, members. ARGV member, session timeout, patience: the others get so many milliseconds longer before they
 * count as silent. → [incarnation or '', members by name...] (beats, drops the silent).
 */
export const heartbeatScript = new RedisScript(
  `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2] * 2 + ARGV[3])
local members = redis.call('ZRANGE', KEYS[2], 0, -1)
table.sort(members)
table.insert(members, 1, redis.call('HGET', KEYS[1], 'incarnation') or '')
return members
`,
  'allow',
)

/** KEYS members. → the number of those that are not silent. */
export const membersScript = new RedisScript(
  `
local clock = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000), '+inf')
`,
  'allow',
)

/**
 * KEYS lease, meta, groups. ARGV token, member, session timeout, group. Takes a free partition, or one this member held
 * before it lost its connection. → ['held'] | ['absent'] | ['claimed', committed or '', incarnation, start, end,
 * bytes].
 */
export const assignScript = new RedisScript(
  `
local holder = redis.call('GET', KEYS[1])
if holder and string.sub(holder, 1, #ARGV[2] + 1) ~= ARGV[2] .. '/' then return {'held'} end
local m = redis.call('HMGET', KEYS[2], 'incarnation', 'start', 'end', 'bytes')
if not m[1] then return {'absent'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('HSET', KEYS[2], 'holder:' .. ARGV[4], ARGV[1])
redis.call('HSETNX', KEYS[3], ARGV[4], '')
return {'claimed', redis.call('HGET', KEYS[3], ARGV[4]), m[1], m[2], m[3], m[4]}
`,
  'allow',
)

/** KEYS lease, meta. ARGV token, session timeout, group. → [owned, incarnation or '', start, end] */
export const renewScript = new RedisScript(
  `
local owned = 0
if (redis.call('GET', KEYS[1]) or ARGV[1]) == ARGV[1] and redis.call('HGET', KEYS[2], 'holder:' .. ARGV[3]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  owned = 1
end
local m = redis.call('HMGET', KEYS[2], 'incarnation', 'start', 'end')
return {owned, m[1] or '', m[2] or '0', m[3] or '0'}
`,
  'allow',
)

/** KEYS lease, meta, groups. ARGV token, group, position, incarnation. → 'ok' | 'fenced' | 'recreated' */
export const commitScript = new RedisScript(
  `
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 'fenced' end
if redis.call('HGET', KEYS[2], 'holder:' .. ARGV[2]) ~= ARGV[1] then return 'fenced' end
local m = redis.call('HMGET', KEYS[2], 'incarnation', 'end')
if m[1] ~= ARGV[4] or tonumber(ARGV[3]) > tonumber(m[2]) then return 'recreated' end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 'ok'
`,
  'allow',
)

/** KEYS lease, meta. ARGV token, group. */
export const releaseScript = new RedisScript(
  `
if redis.call('HGET', KEYS[2], 'holder:' .. ARGV[2]) == ARGV[1] then
  redis.call('HDEL', KEYS[2], 'holder:' .. ARGV[2])
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`,
  'allow',
)
