import { createServer } from 'node:http'
import { assert } from '../../../base/errors.ts'
import type { Meter } from '../../../ports/telemetry.ts'

export interface OperationsOptions {
  /** Loopback, unless the network around it is closed: these routes need no key. */
  readonly host: string
  readonly port: number
  readonly meter: Meter
  /** Null when ready, else the reason why not. */
  readonly ready: () => Promise<string | null>
}

/** Serves /livez, /readyz and /metrics of a role that serves nothing else. */
export async function serveOperations(options: OperationsOptions): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, contentType = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' }).end(body)
    }
    const fail = () => {
      answer(503, 'failed\n')
    }
    if (request.method !== 'GET') answer(405, 'only GET\n')
    else if (request.url === '/livez') answer(200, 'ok\n')
    else if (request.url === '/readyz') {
      options.ready().then((reason) => {
        answer(reason === null ? 200 : 503, `${reason ?? 'ok'}\n`)
      }, fail)
    } else if (request.url === '/metrics') {
      options.meter.expose().then(({ contentType, body }) => {
        answer(200, body, contentType)
      }, fail)
    } else answer(404, 'GET /livez, /readyz or /metrics\n')
  })
  server.requestTimeout = 5_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address()
  assert(address !== null && typeof address !== 'string', 'a server that listens has a port')
  const { port } = address
  return {
    url: `http://${options.host}:${port}/metrics`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
