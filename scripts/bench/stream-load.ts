/**
 * Subscribers in a process of their own: opens streams of scores, counts their frames, and answers its parent's
 * `count` with what it has counted so far.
 */
import { get } from 'node:http'

export interface StreamOrder {
  readonly port: number
  readonly streams: number
}

/** `open`: every stream has answered. */
export type StreamReport =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'counted'
      readonly scores: number
      readonly gaps: number
      readonly bytes: number
      readonly closed: number
    }

const frameEnd = '\n\n'
const counted = { scores: 0, gaps: 0, bytes: 0, closed: 0 }
const report = (message: StreamReport) => process.send?.(message)

function open({ port }: StreamOrder): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', path: '/v1/score-stream', agent: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`a stream answered ${response.statusCode}`))
      resolve()
      let rest = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => {
        counted.bytes += chunk.length
        const text = rest + chunk
        const end = text.lastIndexOf(frameEnd) + frameEnd.length
        rest = end < frameEnd.length ? text : text.slice(end)
        count(text, text.length - rest.length)
      })
      response.on('close', () => (counted.closed += 1))
    })
    request.on('error', reject)
  })
}

/** Counts the frames of server-sent events in the text up to `end`: each ends with an empty line. */
function count(text: string, end: number): void {
  for (let start = 0; start < end;) {
    if (text.startsWith('event: score\n', start)) counted.scores += 1
    else if (text.startsWith('event: ', start)) counted.gaps += 1
    start = text.indexOf(frameEnd, start) + frameEnd.length
  }
}

process.on('message', (order: StreamOrder | 'count') => {
  if (order === 'count') {
    report({ kind: 'counted', ...counted })
    return
  }
  Promise.all(Array.from({ length: order.streams }, () => open(order))).then(
    () => report({ kind: 'open' }),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
process.once('disconnect', () => process.exit(0))
