import { RedisScript } from '../server/connection.ts'
import { entryFormat, entryOverheadBytes } from './log-frame.ts'

/*
 * The log's scripts. Every entry has the id `<incarnation>-<offset>`: offsets are dense, and a reader that goes on once
 * the topic was created anew sees another incarnation instead of other records under the offsets it expects. An
 * incarnation is the creation time in microseconds, so it grows. Scripts check first and write last: Lua does not roll
 * back. `KEYS` of a partition come in the order stream, meta, groups, segments.
 */

/**
 * KEYS topic. ARGV partitions, retentionMs, retentionBytes, maxRecordBytes. → [created, partitions, incarnation, format
 * of the entries, '' for the first].
 */
export const createTopicScript = new RedisScript(`
local found = redis.call('HMGET', KEYS[1], 'partitions', 'incarnation', 'format')
local created = 0
if not found[1] then
  local clock = redis.call('TIME')
  found = {ARGV[1], clock[1] .. string.format('%06d', clock[2]), '${entryFormat}'}
  redis.call('HSET', KEYS[1], 'partitions', found[1], 'incarnation', found[2], 'format', found[3])
  created = 1
end
if found[1] == ARGV[1] and found[3] == '${entryFormat}' then
  redis.call('HSET', KEYS[1], 'retentionMs', ARGV[2], 'retentionBytes', ARGV[3], 'maxRecordBytes', ARGV[4])
end
return {created, found[1], found[2], found[3] or ''}
`)

/** KEYS partition. ARGV incarnation, retentionMs, retentionBytes. Deletes the data of an older incarnation. */
export const initPartitionScript = new RedisScript(`
local found = redis.call('HGET', KEYS[2], 'incarnation')
if found and tonumber(found) > tonumber(ARGV[1]) then return 0 end
if found ~= ARGV[1] then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[2], 'incarnation', ARGV[1], 'start', 0, 'end', 0, 'bytes', 0, 'time', 0,
    'openBytes', 0, 'openTime', 0)
end
redis.call('HSET', KEYS[2], 'retentionMs', ARGV[2], 'retentionBytes', ARGV[3])
return 1
`)

/** KEYS partition. ARGV incarnation. */
export const dropPartitionScript = new RedisScript(
  `
if redis.call('HGET', KEYS[2], 'incarnation') ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
`,
  'allow',
)

/**
 * KEYS partition. ARGV incarnation, then frames. → ['ok', first offset] | ['stale'] | ['full', the
 * position of the slowest group] | ['foreign', the id of an entry above the log]. Trimming drops whole segments of a
 * sixteenth of the retention, so it costs next to nothing per record.
 */
export const appendScript = new RedisScript(`
local stream, meta, groups, segments = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local m = redis.call('HMGET', meta, 'incarnation', 'start', 'end', 'bytes', 'time', 'openBytes', 'openTime',
  'retentionMs', 'retentionBytes')
if m[1] ~= ARGV[1] then return {'stale'} end
local start, stop, bytes, last = tonumber(m[2]), tonumber(m[3]), tonumber(m[4]), tonumber(m[5])
local openBytes, openTime = tonumber(m[6]), tonumber(m[7])
local keepMs, keepBytes = tonumber(m[8]), tonumber(m[9])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if now < last then now = last end
local incoming = 0
for i = 2, #ARGV do incoming = incoming + #ARGV[i] + ${entryOverheadBytes} end

local floor = stop
for _, position in ipairs(redis.call('HVALS', groups)) do
  floor = math.min(floor, tonumber(position) or start)
end

local from = start
while openBytes > 0 or bytes > 0 do
  local head = redis.call('LINDEX', segments, 0)
  local upTo, size, newest = stop, openBytes, last
  if head then
    local a, b, c = string.match(head, '(%d+) (%d+) (%d+)')
    upTo, size, newest = tonumber(a), tonumber(b), tonumber(c)
  end
  if upTo > floor or (bytes + incoming <= keepBytes and newest >= now - keepMs) then break end
  if head then redis.call('LPOP', segments) else openBytes = 0 end
  bytes = head and bytes - size or 0
  from = math.max(from, upTo)
end
if from > start then
  redis.call('XTRIM', stream, 'MINID', '=', ARGV[1] .. '-' .. from)
  redis.call('HSET', meta, 'start', from, 'bytes', bytes, 'openBytes', openBytes)
end
if bytes > 0 and bytes + incoming > keepBytes then return {'full', floor} end

local time = string.format('r%.0f', now)
local first = redis.pcall('XADD', stream, ARGV[1] .. '-' .. stop, time, ARGV[2])
if type(first) == 'table' and first.err then
  -- Another program has written here: what it wrote has taken the next offsets.
  local top = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local made, offset = string.match(top and top[1] or '', '(%d+)-(%d+)')
  if made ~= ARGV[1] or #offset > 15 then return {'foreign', top and top[1] or ''} end
  stop = tonumber(offset) + 1
  redis.call('XADD', stream, ARGV[1] .. '-' .. stop, time, ARGV[2])
end
for i = 3, #ARGV do
  redis.call('XADD', stream, ARGV[1] .. '-' .. (stop + i - 2), time, ARGV[i])
end
local next = stop + #ARGV - 1
if openBytes == 0 then openTime = now end
openBytes = openBytes + incoming
if openBytes * 16 >= keepBytes or (now - openTime) * 16 >= keepMs then
  redis.call('RPUSH', segments, string.format('%.0f %.0f %.0f', next, openBytes, now))
  openBytes = 0
end
redis.call('HSET', meta, 'end', next, 'bytes', bytes + incoming, 'time', now, 'openBytes', openBytes,
  'openTime', openTime)
return {'ok', stop}
`)

/** KEYS partition. ARGV incarnation. Makes entries that another program appended part of the log. → the log's end. */
export const adoptScript = new RedisScript(
  `
local m = redis.call('HMGET', KEYS[2], 'incarnation', 'end')
if m[1] ~= ARGV[1] then return -1 end
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local made, offset = string.match(top and top[1] or '', '(%d+)-(%d+)')
if made ~= ARGV[1] or #offset > 15 or tonumber(offset) < tonumber(m[2]) then return tonumber(m[2]) end
redis.call('HSET', KEYS[2], 'end', tonumber(offset) + 1)
return tonumber(offset) + 1
`,
  'allow',
)

/** KEYS partition. ARGV the new start. Moves the start even past records that groups have not read. */
export const truncateScript = new RedisScript(
  `
local m = redis.call('HMGET', KEYS[2], 'incarnation', 'start', 'end', 'bytes', 'openBytes')
if not m[1] then return -1 end
local start, stop, bytes, openBytes = tonumber(m[2]), tonumber(m[3]), tonumber(m[4]), tonumber(m[5])
local from = math.max(start, math.min(stop, tonumber(ARGV[1])))
while true do
  local head = redis.call('LINDEX', KEYS[4], 0)
  if not head then break end
  local upTo, size = string.match(head, '(%d+) (%d+)')
  if tonumber(upTo) > from then break end
  redis.call('LPOP', KEYS[4])
  bytes = bytes - tonumber(size)
end
if from == stop then bytes, openBytes = 0, 0 end
redis.call('XTRIM', KEYS[1], 'MINID', '=', m[1] .. '-' .. from)
redis.call('HSET', KEYS[2], 'start', from, 'bytes', bytes, 'openBytes', openBytes)
return from
`,
  'allow',
)
