import { expect, it } from 'vitest'
import { table } from '../../../src/app/command-line/table.ts'

it('is columns as wide as their longest text, numbers to the right', () => {
  const rows = [
    { name: 'a', events: 7, note: null },
    { name: 'longer', events: 1_200, note: 'x' },
  ]
  expect(table(rows).split('\n')).toEqual(['name    events  note', 'a            7  -', 'longer    1200  x', ''])
})

it('keeps a text of several lines in its cell', () => {
  const lines = table([
    { model: 'm/1', refused: 'not loaded:\n  wrong opset\r\n' },
    { model: 'm/2', refused: 'ok' },
  ]).split('\n')
  expect(lines).toEqual(['model  refused', 'm/1    not loaded: wrong opset', 'm/2    ok', ''])
})

it('spells control characters, so that no cell of somebody else moves the cursor of a terminal', () => {
  expect(table([{ key: '\u001b[2Jx\u009b' }])).toBe('key\n\\u001b[2Jx\\u009b\n')
})

it('prints (no rows) when there are none', () => {
  expect(table([])).toBe('(no rows)\n')
})
