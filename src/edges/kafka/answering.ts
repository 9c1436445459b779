import { connect } from 'node:net'
import type { ISocketFactory } from 'kafkajs'
import { loopClock } from '../../clock/loop-clock.ts'
import { replaceMethod } from './internals.ts'

/** For a timer of kafkajs that a limit on the socket replaces. */
const neverMs = 24 * 3_600_000

const keepAliveMs = 60_000
/** How often requests are looked at, as in kafkajs. */
const lookMs = 100

/** Sockets that are given up when no connection comes about within `connectTimeoutMs` of our listening. */
export function answeringSockets(connectTimeoutMs: number): ISocketFactory {
  return ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, () => {
      limit.cancel()
      onConnect()
    })
    const limit = loopClock.after(connectTimeoutMs, () => socket.destroy(new Error('connection timeout')))
    socket.once('close', () => limit.cancel())
    socket.setKeepAlive(true, keepAliveMs)
    return socket
  }
}

/** What is used of kafkajs's Connection. */
interface Connection {
  connectionTimeout: number
}

interface SocketRequest {
  readonly requestTimeout: number
  timeoutRequest(): void
}

/** What is used of kafkajs's RequestQueue. */
interface RequestQueue {
  readonly enforceRequestTimeout: boolean
  readonly inflight: ReadonlyMap<number, SocketRequest>
  requestTimeoutIntervalId: NodeJS.Timeout | undefined
  isConnected(): boolean
  destroy(): void
}

let isMeasured = false

/**
 * kafkajs 2.2.4 looks at its connections and requests from timers: after a busy moment of our own loop every request
 * counts as lost whose answer waits in the socket. There is no option against it, so the methods that do it are
 * replaced: by one on the loop clock, and by one that leaves a connection to {@link answeringSockets}. The version is
 * pinned, and a test answers under a loop that is blocked.
 */
export function measureByLoop(): void {
  if (isMeasured) return
  isMeasured = true
  replaceMethod('network/requestQueue/index.js', 'scheduleRequestTimeoutCheck', () => scheduleRequestTimeoutCheck)
  replaceMethod('network/connection.js', 'connect', (original) => {
    return function connectUntimed(this: Connection): unknown {
      // Also how long the first request may take: it is put back as soon as the timer has begun.
      const { connectionTimeout } = this
      this.connectionTimeout = neverMs
      try {
        return original.call(this)
      } finally {
        this.connectionTimeout = connectionTimeout
      }
    }
  })
}

function scheduleRequestTimeoutCheck(this: RequestQueue): void {
  if (!this.enforceRequestTimeout) return
  this.destroy()
  /** When each was first seen on its way. */
  const seenMs = new WeakMap<SocketRequest, number>()
  const look = () => {
    const nowMs = loopClock.nowMs()
    for (const request of [...this.inflight.values()]) {
      const sinceMs = seenMs.get(request)
      if (sinceMs === undefined) seenMs.set(request, nowMs)
      else if (nowMs - sinceMs > request.requestTimeout) request.timeoutRequest()
    }
    if (!this.isConnected()) this.destroy()
  }
  // Sockets are read between a timer and an immediate.
  this.requestTimeoutIntervalId = setInterval(() => setImmediate(look), lookMs)
}
