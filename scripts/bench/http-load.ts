/**
 * A client process of its own, so that client and server share no event loop. Reads one order from its parent, sends
 * its requests in turn over kept connections, each as soon as the last was answered, and answers with its measurements.
 */
import { connect, type Socket } from 'node:net'
import { quantile } from './measurement.ts'

export interface LoadOrder {
  readonly port: number
  readonly connections: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** Whole HTTP/1.1 requests. */
  readonly requests: readonly string[]
  /** Text in the requests that becomes a number of the same length, another one each time; left out: none. */
  readonly counter?: string
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /**
   * A client that waits asks less during a stall: each connection has one long wait in it, and the percentiles of
   * thousands of short waits hide it. Here it shows, also when the answer came after the end.
   */
  readonly longestMs: number
  /** Answers with another status than 200. */
  readonly failures: number
}

interface Reading {
  readonly order: LoadOrder
  readonly startMs: number
  readonly endMs: number
  readonly latenciesMs: number[]
  failures: number
  longestMs: number
  /** The index of the next request. */
  turn: number
}

async function runLoad(order: LoadOrder): Promise<LoadResult> {
  const startMs = performance.now() + order.warmUpMs
  const counts = { latenciesMs: [], failures: 0, longestMs: 0, turn: 0 }
  const reading: Reading = { order, startMs, endMs: startMs + order.measureMs, ...counts }
  await Promise.all(Array.from({ length: order.connections }, () => keepAsking(reading)))
  const { latenciesMs, failures, longestMs } = reading
  const [p50Ms, p99Ms] = [quantile(latenciesMs, 0.5), quantile(latenciesMs, 0.99)]
  return { requests: latenciesMs.length, seconds: order.measureMs / 1_000, p50Ms, p99Ms, longestMs, failures }
}

/** Keeps sending over one connection; rejects when the server closes it or is silent. */
function keepAsking(reading: Reading): Promise<void> {
  const socket = connect({ port: reading.order.port, host: '127.0.0.1', noDelay: true })
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 seconds')))
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', resolve)
    let askedMs = 0
    const ask = () => {
      const { requests, counter } = reading.order
      const turn = reading.turn++
      const request = requests[turn % requests.length] ?? ''
      askedMs = performance.now()
      socket.write(
        counter === undefined ? request : request.replace(counter, String(turn).padStart(counter.length, '0')),
      )
    }
    socket.once('connect', ask)
    eachAnswer(socket, (status) => {
      const nowMs = performance.now()
      if (askedMs >= reading.startMs) reading.longestMs = Math.max(reading.longestMs, nowMs - askedMs)
      if (askedMs >= reading.startMs && nowMs < reading.endMs) {
        reading.latenciesMs.push(nowMs - askedMs)
        if (status !== 200) reading.failures += 1
      }
      if (nowMs < reading.endMs) ask()
      else socket.end()
    })
  })
}

/** Reads one answer at a time, with a content-length, as this service sends them. */
function eachAnswer(socket: Socket, take: (status: number) => void): void {
  let text = ''
  let expected = -1
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text += chunk
    if (expected < 0) {
      const head = text.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head + 2))?.[1]
      if (length === undefined) {
        socket.destroy(new Error('an answer without a content-length'))
        return
      }
      expected = head + 4 + Number(length)
    }
    if (text.length < expected) return
    const status = Number(text.slice(9, 12))
    text = text.slice(expected)
    expected = -1
    take(status)
  })
}

process.once('message', (order: LoadOrder) => {
  runLoad(order).then(
    (result) => {
      process.send?.(result, () => process.disconnect())
    },
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
process.once('disconnect', () => process.exit(0))
