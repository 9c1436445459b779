import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** The proxy drops all replies of the connection until it cuts it. */
  isDeaf: boolean
}

/** A proxy that loses a server's replies: the server executes the commands, and the client does not learn it. */
export class ReplyProxy {
  readonly port: number
  replies = 0
  cuts = 0
  readonly #server: Server
  readonly #pairs = new Set<Pair>()

  private constructor(server: Server, pairs: Set<Pair>) {
    this.#server = server
    this.#pairs = pairs
    this.port = (server.address() as AddressInfo).port
  }

  static async open(targetPort: number): Promise<ReplyProxy> {
    const pairs = new Set<Pair>()
    let lost: (bytes: number) => void = () => undefined
    const server = createServer((client) => join(client, targetPort, pairs, () => lost(1)))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    const proxy = new ReplyProxy(server, pairs)
    lost = (count) => (proxy.replies += count)
    return proxy
  }

  /** From now on the chosen connections get no replies. */
  deafen(choose: () => boolean): void {
    for (const pair of this.#pairs) if (choose()) pair.isDeaf = true
  }

  /** Cuts the deaf connections, and the chosen others. */
  cut(choose: () => boolean): void {
    for (const pair of this.#pairs) {
      if (!pair.isDeaf && !choose()) continue
      this.cuts += 1
      pair.client.destroy()
      pair.server.destroy()
    }
  }

  async close(): Promise<void> {
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function join(client: Socket, port: number, pairs: Set<Pair>, onLost: () => void): void {
  const server = connect(port, '127.0.0.1')
  client.setNoDelay(true)
  server.setNoDelay(true)
  const pair: Pair = { client, server, isDeaf: false }
  pairs.add(pair)
  const end = () => {
    pairs.delete(pair)
    client.destroy()
    server.destroy()
  }
  for (const socket of [client, server]) socket.on('error', end).on('close', end)
  client.on('data', (chunk) => server.write(chunk))
  server.on('data', (chunk) => {
    if (pair.isDeaf) onLost()
    else client.write(chunk)
  })
}
