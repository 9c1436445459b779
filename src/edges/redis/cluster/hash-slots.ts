import { integerIn, listIn, textIn } from '../server/reply.ts'
/** The number of hash slots, which a cluster divides among its nodes. */
export const hashSlotCount = 16_384

/** CRC16 (XMODEM): polynomial 0x1021, nothing reflected. */
export function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    crc &= 0xffff
  }
  return crc
}

/** The hash slot of a key, or of the hash tag in it: the text between the first `{` and the next `}`. */
export function hashSlotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % hashSlotCount
}

/** `host:port` of the primary of each hash slot; undefined if no node serves it. */
export type HashSlotOwners = readonly (string | undefined)[]

/**
 * Parses the answer of CLUSTER SLOTS; `askedHost` replaces a host that the node does not name: it is the node's own.
 */
export function parseHashSlots(reply: unknown, askedHost: string): HashSlotOwners {
  const owners = new Array<string | undefined>(hashSlotCount).fill(undefined)
  for (const range of listIn(reply)) {
    const [from, to, primary] = listIn(range)
    const [host, port] = listIn(primary)
    const address = `${hostOr(askedHost, textIn(host))}:${integerIn(port)}`
    owners.fill(address, integerIn(from), integerIn(to) + 1)
  }
  return owners
}

export interface Redirection {
  /** `moved` for good, `ask` for this one call: the hash slot is being moved. */
  readonly kind: 'moved' | 'ask'
  readonly hashSlot: number
  readonly address: string
}

/** Parses `MOVED 3999 127.0.0.1:6381` or `ASK ...`; null for any other message. */
export function parseRedirection(message: string, askedHost: string): Redirection | null {
  const [, kind, hashSlot, host, port] = /^(MOVED|ASK) (\d+) (.*):(\d+)$/.exec(message) ?? []
  if (kind === undefined || Number(hashSlot) >= hashSlotCount) return null
  return {
    kind: kind === 'MOVED' ? 'moved' : 'ask',
    hashSlot: Number(hashSlot),
    address: `${hostOr(askedHost, host ?? '')}:${port}`,
  }
}

function hostOr(askedHost: string, host: string): string {
  return host === '' || host === '?' ? askedHost : host
}
