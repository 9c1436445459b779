import type { StateWrite } from '../../../ports/states.ts'
import { asBuffer, RedisScript } from '../server/connection.ts'
import { incarnationField } from './store-incarnations.ts'
import { integerIn, listIn, textIn } from '../server/reply.ts'

/** The most keys of one command: the server does nothing else meanwhile, about 7 µs a key. */
const chunkKeys = 500
/** The most bytes of one compare-and-set call: a hot entity's state can be large. */
const chunkBytesMax = 4 * 1024 * 1024
/** The offset of sequence and checksum in a state blob; see its layout. Byte 0 is the format. */
const versionFrom = 1
const versionTo = 13

/**
 * KEYS entities. ARGV expected version ('' for none), blob and ttl of each. → 1 or 0 each. A state that has the new
 * version already is a success: the reply to an earlier try was lost. All checks come before the first write: Lua does
 * not roll back, and at the memory limit Redis refuses the script before it starts.
 */
export const compareAndSetScript = new RedisScript(`
local answers = {}
for i = 1, #KEYS do
  local found = redis.call('GETRANGE', KEYS[i], ${versionFrom}, ${versionTo - 1})
  local blob = ARGV[3 * i - 1]
  if found == string.sub(blob, ${versionFrom + 1}, ${versionTo}) then
    answers[i] = 2
  else
    answers[i] = found == ARGV[3 * i - 2] and 1 or 0
  end
end
for i = 1, #KEYS do
  if answers[i] == 1 then redis.call('SET', KEYS[i], ARGV[3 * i - 1], 'PX', ARGV[3 * i]) end
end
return answers
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

const none = Buffer.alloc(0)

/** The arguments of {@link compareAndSetScript} for one entity. */
export function argumentsOf({ expected, blob, ttlMs }: StateWrite): (Buffer | number)[] {
  return [expected === null ? none : asBuffer(expected), asBuffer(blob), ttlMs]
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
