import { expect, test } from 'vitest'
import { ProgressDisplay, type ProgressDisplayOptions } from '../../../scripts/simulator/progress-display.ts'

function display(options: Partial<ProgressDisplayOptions>) {
  const clock = { ms: 0 }
  const written: string[] = []
  const progress = new ProgressDisplay({
    write: (text) => written.push(text),
    tty: false,
    colour: false,
    nowMs: () => clock.ms,
    label: 'history',
    total: 10_000,
    ...options,
  })
  return { clock, written, progress }
}

test('without a terminal: a plain line every few seconds, and one at the end', () => {
  const { clock, written, progress } = display({})
  for (clock.ms = 0; clock.ms < 10_500; clock.ms += 50) progress.update(clock.ms / 2)
  progress.end(10_000, 3)
  expect(written).toEqual([
    'history  25%  2,500 of 10,000 events  500/s  0:15 left\n',
    'history  50%  5,000 of 10,000 events  500/s  0:10 left\n',
    'history  100%  10,000 of 10,000 events  952/s  in 0:11  3 retries\n',
  ])
})

test('with a terminal: one line, drawn over, green only if allowed', () => {
  const plain = display({ tty: true })
  plain.clock.ms = 1_000
  plain.progress.update(5_000)
  plain.progress.update(5_001)
  plain.progress.end(10_000)
  expect(plain.written).toHaveLength(3)
  expect(plain.written[0]).toMatch(/^\rhistory {2}█{12}░{12} {2}50%/)
  expect(plain.written[2]).toBe('\n')
  expect(plain.written.join('')).not.toContain('\u001b')
  const green = display({ tty: true, colour: true })
  green.clock.ms = 1_000
  green.progress.update(5_000)
  expect(green.written[0]).toContain(`\u001b[32m${'█'.repeat(12)}\u001b[39m`)
})

test('without a total: no share and no time left', () => {
  const { clock, written, progress } = display({ label: 'live', total: null })
  clock.ms = 3_661_000
  progress.end(1_234_567)
  expect(written).toEqual(['live  1,234,567 events  337/s  in 1:01:01\n'])
})
