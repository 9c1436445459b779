import { connect } from 'node:net'
import type { ISocketFactory } from 'kafkajs'
import { loopClock } from '../../clock/loop-clock.ts'
import { replaceMethod } from './internals.ts'

/** For a timer of kafkajs that a limit on the socket replaces. */
const neverMs = 24 * 3_600_000

const keepAliveMs = 60_000
/** Between two checks of the requests, as in kafkajs. */
const lookMs = 100

/** Makes sockets that give up when they do not connect while our loop listens for `connectTimeoutMs`. */
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

/** The members of kafkajs's Connection that this module uses. */
interface Connection {
  connectionTimeout: number
}

interface SocketRequest {
  readonly requestTimeout: number
  timeoutRequest(): void
}

/** The members of kafkajs's RequestQueue that this module uses. */
interface RequestQueue {
  readonly enforceRequestTimeout: boolean
  readonly inflight: ReadonlyMap<number, SocketRequest>
  requestTimeoutIntervalId: NodeJS.Timeout | undefined
  isConnected(): boolean
  destroy(): void
}

let isMeasured = false

/**
 * kafkajs 2.2.4 checks its connections and requests from timers: after a busy moment of our own loop it counts every
 * request as lost whose answer waits in the socket. It has no option against that, so this replaces both methods: one
 * by a check on the loop clock, one by a connect without a timer, which {@link answeringSockets} limits. The version is
 * pinned, and a test answers under a blocked loop.
 */
export function measureByLoop(): void {
  if (isMeasured) return
  isMeasured = true
  replaceMethod('network/requestQueue/index.js', 'scheduleRequestTimeoutCheck', () => scheduleRequestTimeoutCheck)
  replaceMethod('network/connection.js', 'connect', (original) => {
    return function connectUntimed(this: Connection): unknown {
      // The same value limits the first request: it is restored as soon as the timer has begun.
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
  /** When a check first saw each request in flight. */
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
  // Node reads sockets between a timer and an immediate.
  this.requestTimeoutIntervalId = setInterval(() => setImmediate(look), lookMs)
}
