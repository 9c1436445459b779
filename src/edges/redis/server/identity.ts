import { connect } from 'node:net'
import { loopClock } from '../../../clock/loop-clock.ts'

export interface RedisIdentity {
  readonly pid: number
  /** The server's working folder, as resolved at its start. */
  readonly dir: string
}

const answerCharsMax = 65_536

/**
 * Identifies the server on this loopback port by asking the server itself, so that a reused port or process id is never
 * mistaken for it. Null when nothing answers within `timeoutMs`, or when it is no Redis.
 */
export function identifyRedis(port: number, timeoutMs: number): Promise<RedisIdentity | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const settle = (identity: RedisIdentity | null): void => {
      limit.cancel()
      socket.destroy()
      resolve(identity)
    }
    const limit = loopClock.after(timeoutMs, () => settle(null))
    socket.once('error', () => settle(null))
    socket.once('close', () => settle(null))
    socket.once('connect', () => socket.write('INFO server\r\nCONFIG GET dir\r\n'))
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8')
      if (text.length > answerCharsMax) settle(null)
      const pid = /\bprocess_id:(\d+)/.exec(text)?.[1]
      const dir = /\r\ndir\r\n\$\d+\r\n([^\r\n]*)\r\n/.exec(text)?.[1]
      if (pid !== undefined && dir !== undefined) settle({ pid: Number(pid), dir })
    })
  })
}
