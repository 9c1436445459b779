import { Redis } from 'ioredis'

/** Entries of the next stream: an id, then key and value between their names. */
type Entries = readonly (readonly [Buffer, readonly [Buffer, Buffer, Buffer, Buffer]])[]

/** Reads what others append to Redis streams from now on, in one blocking command; answers how to end that. */
export async function followStreams(
  url: string,
  streams: readonly string[],
  take: (value: Uint8Array) => void,
): Promise<() => Promise<void>> {
  const redis = new Redis(url)
  const from = new Map<string, string>()
  for (const stream of streams) {
    const [newest] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1)
    from.set(stream, newest?.[0] ?? '0')
  }
  let isEnding = false
  const read = async () => {
    while (!isEnding) {
      const words = ['COUNT', 1_000, 'BLOCK', 100, 'STREAMS', ...from.keys(), ...from.values()]
      // ioredis answers one flat list: a stream, its entries, the next stream.
      const reply = (await redis.callBuffer('XREAD', ...words)) as (Buffer | Entries)[] | null
      for (let i = 0; i < (reply?.length ?? 0); i += 2) {
        const entries = reply?.[i + 1] as Entries
        for (const [, [, , , value]] of entries) take(value)
        from.set(String(reply?.[i]), String(entries.at(-1)?.[0]))
      }
    }
  }
  const reading = read()
  return async () => {
    isEnding = true
    await reading
    redis.disconnect()
  }
}
