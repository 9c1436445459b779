import { createHash, timingSafeEqual } from 'node:crypto'
import type { ServeContext } from './route.ts'

export type GuardVerdict =
  | { readonly kind: 'pass' }
  | {
      readonly kind: 'refused'
      readonly code: 'unauthorized' | 'foreign_host' | 'foreign_origin'
      readonly detail: string
    }

export type Guard = (c: ServeContext, access: 'open' | 'key') => GuardVerdict

const pass: GuardVerdict = { kind: 'pass' }

/**
 * Decides who may call. With an API key: a caller that sends it as bearer token, compared in constant time. Without one
 * the role listens on loopback only, and the danger is a browser on the same machine: a page of another origin, or one
 * whose name was rebound to 127.0.0.1. So the Host must be loopback, and an Origin must be this very address.
 */
export function createGuard(apiKey: string | null): Guard {
  if (apiKey === null) return (c) => fromThisMachine(c.req.header('host'), c.req.header('origin'))
  const expected = digest(apiKey)
  return (c, access) => {
    if (access === 'open') return pass
    const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (token !== undefined && timingSafeEqual(digest(token), expected)) return pass
    return { kind: 'refused', code: 'unauthorized', detail: 'send the API key: Authorization: Bearer <key>' }
  }
}

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/** A request without a Host comes from no browser. */
function fromThisMachine(host: string | undefined, origin: string | undefined): GuardVerdict {
  if (host !== undefined && !loopbackHost.test(host)) {
    return { kind: 'refused', code: 'foreign_host', detail: 'without an API key only loopback names are answered' }
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${(host ?? '').toLowerCase()}`) {
    return { kind: 'refused', code: 'foreign_origin', detail: 'without an API key other origins are refused' }
  }
  return pass
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
