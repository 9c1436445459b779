import { getRequestListener } from '@hono/node-server'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Hono } from 'hono'
import { loopClock } from '../../clock/loop-clock.ts'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { Logger } from '../../ports/telemetry.ts'
import { describeProblem } from './problem.ts'
import type { ServeEnv } from './route.ts'

export interface ListenOptions {
  readonly app: Pick<Hono<ServeEnv>, 'fetch'>
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Without an API key only loopback addresses are listened on. */
  readonly hasApiKey: boolean
  /** Requests may go on for so long after `stop`. */
  readonly drainMs: number
  /** Ends the streams, which would never end by themselves. */
  readonly endStreams: () => void
  readonly logger: Logger
  readonly timeouts: ListenTimeouts
}

export interface ListenTimeouts {
  /** For a client to send its headers, and the whole request. */
  readonly headersMs: number
  readonly requestMs: number
  readonly keepAliveMs: number
  readonly connectionsMax: number
}

export const listenTimeouts: ListenTimeouts = {
  headersMs: 10_000,
  requestMs: 30_000,
  /** Longer than the 60 s of common load balancers, so that they, not we, close idle connections. */
  keepAliveMs: 65_000,
  connectionsMax: 10_000,
}

export interface Listening {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Takes no more connections, ends streams, waits for requests, then closes what is left. Safe to call twice. */
  stop(): Promise<void>
}

/** Errors: `listen_refused` (not loopback and no key), `listen_failed` (such as a port in use). */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { app, host, port, hasApiKey, timeouts } = options
  if (!hasApiKey && !isLoopback(host)) {
    throw new RiverbankError('listen_refused', `${host} is not loopback: set an API key to listen there`)
  }
  const listener = getRequestListener(app.fetch, { hostname: host, errorHandler: () => unreadable() })
  const server = createServer(
    {
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      keepAliveTimeout: timeouts.keepAliveMs,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16_384,
      noDelay: true,
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  )
  server.maxConnections = timeouts.connectionsMax
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const address = await bind(server, host, port)
  server.on('error', (error) => options.logger.error('http server', { error }))
  let stopping: Promise<void> | null = null
  return {
    host,
    port: address.port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    stop: () => (stopping ??= stop(server, sockets, options)),
  }
}

function bind(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      reject(new RiverbankError('listen_failed', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }))
    }
    server.once('error', onError)
    server.listen({ host, port, backlog: 1_024 }, () => {
      server.off('error', onError)
      const address = server.address()
      assert(address !== null && typeof address !== 'string', 'a server that listens has an address')
      resolve(address)
    })
  })
}

async function stop(server: Server, sockets: ReadonlySet<Socket>, options: ListenOptions): Promise<void> {
  const { drainMs, endStreams } = options
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // Node does not count connections without any request (browsers open such ones) as idle.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  endStreams()
  const limit = loopClock.after(drainMs, () => server.closeAllConnections())
  // Connections that were busy at the close become idle one after the other.
  const idle = setInterval(() => server.closeIdleConnections(), Math.min(50, drainMs))
  await closed
  limit.cancel()
  clearInterval(idle)
}

/** Answers a request whose request line or Host is no URL; it never reaches the app. */
function unreadable(): Response {
  const problem = describeProblem('bad_request', 'the request line or the Host header is not valid')
  const headers = { 'content-type': 'application/problem+json' }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
