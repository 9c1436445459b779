import { assert } from '../../../base/errors.ts'
import type { StateWrite } from '../../../ports/states.ts'
import { RedisScript } from '../server/connection.ts'
import { incarnationField } from './store-incarnations.ts'
import { bufferIn, integerIn, listIn, textIn } from '../server/reply.ts'

/** The most keys of one command: the server does nothing else meanwhile, about 7 µs a key. */
const chunkKeys = 500
/** The most bytes of one compare-and-set call: a hot entity's state can be large. */
const chunkBytesMax = 4 * 1024 * 1024
/** The offset of sequence and checksum in a state blob; see its layout. Byte 0 is the format. */
const versionFrom = 1
const versionTo = 13
const versionBytes = versionTo - versionFrom
/** In front of each blob that {@link packWrites} packs. */
const headBytes = 4 + 8 + versionBytes
const noVersion = new Uint8Array(versionBytes)
const lostDigit = '0'.charCodeAt(0)

/**
 * KEYS entities. ARGV what {@link packWrites} makes of their writes: one argument, because each more costs the server
 * and the client half a microsecond. → a digit each, 0 for a lost write. A state that has the new version already is a
 * success: the reply to an earlier try was lost. All checks come before the first write: Lua does not roll back, and at
 * the memory limit Redis refuses the script before it starts. An absolute time to live saves Redis one conversion each.
 */
export const compareAndSetScript = new RedisScript(`
local call, sub, unpack = redis.call, string.sub, struct.unpack
local writes, answers, starts, ends, ttls = ARGV[1], {}, {}, {}, {}
local at, none, length, ttl, expected = 1, string.rep('\\0', ${versionBytes})
for i = 1, #KEYS do
  length, ttl, expected, at = unpack('>I4dc${versionBytes}', writes, at)
  starts[i], ends[i], ttls[i] = at, at + length - 1, ttl
  if expected == none then expected = '' end
  local found = call('GETRANGE', KEYS[i], ${versionFrom}, ${versionTo - 1})
  if found == sub(writes, at + ${versionFrom}, at + ${versionTo - 1}) then
    answers[i] = '2'
  elseif found == expected then
    answers[i] = '1'
  else
    answers[i] = '0'
  end
  at = at + length
end
local clock, expiries = call('TIME'), {}
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 1, #KEYS do
  if answers[i] == '1' then
    local expiry = expiries[ttls[i]]
    if not expiry then
      expiry = string.format('%.0f', now + ttls[i])
      expiries[ttls[i]] = expiry
    end
    call('SET', KEYS[i], sub(writes, starts[i], ends[i]), 'PXAT', expiry)
  end
end
return table.concat(answers)
`)

/**
 * KEYS positions. ARGV partition, next, least position (-1 for any), incarnation ('' for any), id of a new incarnation
 * for positions without one. → 0 if the position is below the least one or the incarnation is another, else 1; and the
 * incarnation.
 */
export const advanceScript = new RedisScript(`
local life = redis.call('HGET', KEYS[1], '${incarnationField}')
if ARGV[4] ~= '' and life ~= ARGV[4] then return {0, life or ''} end
local found = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
if found < tonumber(ARGV[3]) then return {0, life or ''} end
if not life then
  life = ARGV[5]
  redis.call('HSET', KEYS[1], '${incarnationField}', life)
end
if found < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return {1, life}
`)

/** KEYS metadata. ARGV before, after; '' for none. → 1 if it was `before`, or is `after` already. */
export const replaceMetadataScript = new RedisScript(`
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[2] then return 1 end
if found ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
`)

/** The answer of {@link advanceScript}. */
export interface Advanced {
  readonly raised: boolean
  readonly incarnation: string
}

export function advanced(reply: unknown): Advanced {
  const [raised, incarnation] = listIn(reply)
  return { raised: integerIn(raised) === 1, incarnation: textIn(incarnation) }
}

/**
 * Checks a call before its first command. With another time to live Redis would delete the state at once, or end the
 * script after its first writes.
 */
export function checkWrites(names: readonly string[], writes: readonly StateWrite[]): void {
  assert(new Set(names).size === writes.length, 'one write per entity in a call')
  for (const { ttlMs } of writes) assert(ttlMs >= 1 && ttlMs <= Number.MAX_SAFE_INTEGER, 'a state lives for a time')
}

/**
 * The argument of {@link compareAndSetScript}: of each write the length of the blob, 4 bytes; its time to live, a double
 * of milliseconds; the expected version, zeros for none (a state has a sequence number from 1 on); the blob.
 */
export function packWrites(writes: readonly StateWrite[]): Buffer {
  let length = 0
  for (const { blob } of writes) length += headBytes + blob.length
  const packed = Buffer.allocUnsafe(length)
  let at = 0
  for (const { expected, blob, ttlMs } of writes) {
    packed.writeUInt32BE(blob.length, at)
    packed.writeDoubleBE(ttlMs, at + 4)
    packed.set(expected ?? noVersion, at + 12)
    packed.set(blob, at + headBytes)
    at += headBytes + blob.length
  }
  return packed
}

/** The answers of {@link compareAndSetScript}: whether each write was made. */
export function writesMade(reply: unknown): boolean[] {
  return Array.from(bufferIn(reply), (digit) => digit !== lostDigit)
}

/** Splits items, in order, into chunks of one command each. */
export function chunksOf<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Item[][] {
  const chunks: Item[][] = []
  let chunk: Item[] = []
  let bytes = 0
  for (const item of items) {
    if (chunk.length === chunkKeys || (chunk.length > 0 && bytes + bytesOf(item) > chunkBytesMax)) {
      chunks.push(chunk)
      chunk = []
      bytes = 0
    }
    chunk.push(item)
    bytes += bytesOf(item)
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}
