import { expect, test } from 'vitest'
import { bufferOrNullIn, buffersIn, integerIn, listIn, textsIn } from '../../../../src/edges/redis/server/reply.ts'

test('a reply is what its command promises', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  expect(buffersIn([a, b])).toEqual([a, b])
  expect(bufferOrNullIn(null)).toBeNull()
  expect(textsIn([a, 7, 'c', null])).toEqual(['a', '7', 'c', ''])
})

test.each([
  ['bytes', () => buffersIn([Buffer.from('a'), null]), 'nothing where bytes'],
  ['an integer', () => integerIn(Buffer.from('7')), 'object where an integer'],
  ['a list', () => listIn('OK'), 'string where a list'],
])('another form is refused where a script promises %s', (_, read, told) => {
  expect(read).toThrow(told)
})
