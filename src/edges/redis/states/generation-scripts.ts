import { RedisScript } from '../server/connection.ts'

/**
 * KEYS generations. ARGV the expected number of entries, the next entry. → 1 when it is there, 0 when another one is.
 */
export const appendScript = new RedisScript(`
local count = redis.call('LLEN', KEYS[1])
if count == tonumber(ARGV[1]) then
  redis.call('RPUSH', KEYS[1], ARGV[2])
  return 1
end
if count == tonumber(ARGV[1]) + 1 and redis.call('LINDEX', KEYS[1], -1) == ARGV[2] then return 1 end
return 0
`)

/**
 * KEYS generations, activations of the partition, positions of its topic. ARGV number, partition. → the newest
 * activation as '<number> <offset>', '' when there is no such generation. Entries grow in number and in offset.
 */
export const activateScript = new RedisScript(
  `
local number = tonumber(ARGV[1])
if redis.call('LLEN', KEYS[1]) < number then return '' end
local newest = redis.call('LINDEX', KEYS[2], -1) or '1 0'
if tonumber(string.match(newest, '^%d+')) >= number then return newest end
local entry = ARGV[1] .. ' ' .. (redis.call('HGET', KEYS[3], ARGV[2]) or '0')
redis.call('RPUSH', KEYS[2], entry)
return entry
`,
  'allow',
)

/**
 * KEYS generations, activations of the partition. ARGV offset. → offset and generation in turn, newest first, down to
 * the first at or below the offset. Generation 1 needs no entry.
 */
export const activationsScript = new RedisScript(
  `
local found = {}
for index = redis.call('LLEN', KEYS[2]) - 1, 0, -1 do
  local number, offset = string.match(redis.call('LINDEX', KEYS[2], index), '^(%d+) (%d+)$')
  found[#found + 1] = offset
  found[#found + 1] = redis.call('LINDEX', KEYS[1], number - 1) or ''
  if tonumber(offset) <= tonumber(ARGV[1]) then return found end
end
local first = redis.call('LINDEX', KEYS[1], 0)
if not first then return {} end
found[#found + 1] = '0'
found[#found + 1] = first
return found
`,
  'allow',
)
