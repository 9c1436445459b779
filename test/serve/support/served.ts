import { connect, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { listen, listenTimeouts, type Listening, type ListenOptions } from '../../../src/serve/http/listen.ts'
import { serveFixture, type Fixture, type FixtureOptions } from './serve-fixture.ts'

const open: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** The API over a connection, until the test ends. */
export const start = (options: FixtureOptions = {}, changes: Partial<ListenOptions> = {}) =>
  listenTo(serveFixture(options), changes)

export async function listenTo(fixture: Fixture, changes: Partial<ListenOptions>) {
  const listening = await listen({
    app: fixture.app,
    host: '127.0.0.1',
    port: 0,
    hasApiKey: false,
    drainMs: 2_000,
    endStreams: () => fixture.hub.close(),
    logger: fixture.deps.logger,
    timeouts: listenTimeouts,
    ...changes,
  })
  open.push(() => listening.stop())
  return { ...fixture, listening, url: listening.url }
}

export interface SseEvent {
  readonly event: string
  readonly id: string | null
  readonly data: string
}

/** A client of server-sent events that reads as fast as it can. */
export async function subscribe(url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  const seen = { text: '', ended: false }
  const decoder = new TextDecoder()
  const reading = (async () => {
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) seen.text += decoder.decode(chunk)
    } catch {
      // A client that goes away has no complaints.
    }
    seen.ended = true
  })()
  open.push(() => abort.abort())
  const events = (): SseEvent[] =>
    seen.text
      .split('\n\n')
      .slice(0, -1)
      .map((block) =>
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      .map((lines) => new Map(lines as [string, string][]))
      .filter((fields) => fields.has('data'))
      .map((f) => ({ event: f.get('event') ?? 'message', id: f.get('id') ?? null, data: f.get('data') ?? '' }))
  return { response, seen, events, abort, reading }
}

/** The body of a response in chunks, as it is when the connection ends; throws where its last chunk is missing. */
export async function bodyOf(socket: Socket): Promise<string> {
  const parts: Buffer[] = []
  socket.on('data', (bytes: Buffer) => parts.push(bytes))
  const closed = new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve))
  socket.resume()
  await closed
  const text = Buffer.concat(parts).toString('latin1')
  let at = text.indexOf('\r\n\r\n') + 4
  let body = ''
  for (;;) {
    const [line = '', size = ''] = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 20)) ?? []
    const begin = at + line.length
    const end = begin + Number.parseInt(size, 16)
    if (text.slice(end, end + 2) !== '\r\n') throw new Error(`cut off in the middle: ${body.slice(-100)}`)
    if (begin === end) return body
    body += text.slice(begin, end)
    at = end + 2
  }
}

/** A client that asks and then reads nothing. */
export async function stalledClient({ port }: Listening, path: string, accept = '*/*'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  open.push(() => void socket.destroy())
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`)
  return socket
}
