import type { Readable } from 'node:stream'

/**
 * Calls `onLine` with each line of a stream, without its end. A line longer than `charsMax` is handed on in pieces, so
 * that a child which never ends its line cannot fill the memory. The rest is handed on when the stream ends.
 */
export function eachLine(stream: Readable, charsMax: number, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
    if (rest.length > charsMax) {
      onLine(rest)
      rest = ''
    }
  })
  stream.once('end', () => {
    if (rest !== '') onLine(rest)
    rest = ''
  })
}
