import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { LineOutput } from '../../../scripts/simulator/line-output.ts'

test('waits for a slow reader', async () => {
  const taken: string[] = []
  const release: (() => void)[] = []
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      taken.push(chunk)
      release.push(done)
    },
  })
  const output = new LineOutput(stream)
  let finished = false
  const first = output.write('a\n').then((open) => {
    finished = true
    return open
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(finished).toBe(false)
  release[0]?.()
  expect(await first).toBe(true)
  expect(taken).toEqual(['a\n'])
})

function failing(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })),
  })
}

test('a reader that leaves is no error', async () => {
  const output = new LineOutput(failing('EPIPE'))
  expect(await output.write('a')).toBe(false)
  expect(await output.write('b')).toBe(false)
})

test('a full disk is an error', async () => {
  await expect(new LineOutput(failing('ENOSPC')).write('a')).rejects.toThrow('ENOSPC')
})
