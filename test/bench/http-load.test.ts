import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { LoadOrder, LoadResult } from '../../scripts/bench/http-load.js'
import { built } from '../support/built.ts'

const othersMin = 200

test('a client that waits for its answers reports its longest wait: one stall of the server among many answers is in no percentile', async () => {
  let held: { readonly response: ServerResponse; readonly sinceMs: number } | null = null
  let heldMs = NaN
  let others = 0
  const release = () => {
    if (held === null) return
    heldMs = performance.now() - held.sinceMs
    held.response.end('ok')
    held = null
  }
  // Holds its first answer until it has given many others, or until the other connection has ended.
  const server = createServer((_, response) => {
    response.setHeader('content-length', 2)
    if (held === null && Number.isNaN(heldMs)) {
      held = { response, sinceMs: performance.now() }
      return
    }
    response.end('ok')
    others += 1
    if (others === othersMin) release()
  })
  server.on('connection', (socket) => socket.once('close', release))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a server that listens on TCP has this kind of address
  try {
    const result = await loadOf({ port, connections: 2, warmUpMs: 0, measureMs: 300, requests: [request] })
    expect(result.longestMs).toBeGreaterThanOrEqual(heldMs)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

const request = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'

async function loadOf(order: LoadOrder): Promise<LoadResult> {
  const client = fork(built('scripts/bench/http-load.ts'))
  client.send(order)
  const [result] = (await once(client, 'message')) as [LoadResult] // what http-load.ts sends
  return result
}
