import { createServer, type Server } from 'node:net'
import { assert, RiverbankError } from '../../../base/errors.ts'
import { isRecord } from '../../../base/record.ts'

const attemptsMax = 50

/** The first of `count` ports in a row on which no process listens now. Errors: `no_free_ports`. */
export async function freePortsInARow(count: number, host: string): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const held: Server[] = []
    try {
      const first = await listenOn(0, host)
      held.push(first)
      const address = first.address()
      assert(address !== null && typeof address !== 'string', 'a server that listens has a port')
      const { port } = address
      for (let next = port + 1; next < port + count; next += 1) held.push(await listenOn(next, host))
      return port
    } catch (error) {
      if (!isTaken(error)) throw error
    } finally {
      await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
    }
  }
  throw new RiverbankError('no_free_ports', `found no ${count} free ports in a row on ${host}`)
}

function listenOn(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}

function isTaken(error: unknown): boolean {
  const code = isRecord(error) ? error['code'] : null
  return code === 'EADDRINUSE' || code === 'ERR_SOCKET_BAD_PORT' || code === 'EACCES'
}
