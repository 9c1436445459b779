import type { Readable } from 'node:stream'

/**
 * Calls `onLine` with each line of a stream, without its end, and with the rest when the stream ends. It splits a line
 * longer than `charsMax`, so that a child that never ends its line cannot fill the memory.
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
