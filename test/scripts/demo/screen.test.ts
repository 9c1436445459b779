import { describe, expect, test } from 'vitest'
import { Screen } from '../../../scripts/demo/say.ts'

/** What a terminal of one line's width shows after all that was written to it: its lines, the last one unfinished. */
function shownBy(written: string): string[] {
  const lines = ['']
  for (const part of written.replaceAll('\r\u001b[2K', '\r').split(/(\n|\r)/)) {
    if (part === '\n') lines.push('')
    else lines.push(part === '\r' ? '' : `${lines.pop() ?? ''}${part}`)
    if (part === '\r') lines.splice(-2, 1)
  }
  return lines
}

function screenOf(isTerminal: boolean, columns = 80) {
  let [written, nowMs] = ['', 0]
  const output = { write: (text: string) => void (written += text), isTerminal, columns }
  const screen = new Screen(output, () => nowMs)
  const pass = (ms: number) => void (nowMs += ms)
  return { screen, pass, lines: () => shownBy(written), written: () => written }
}

describe('the start screen', () => {
  test('a warning of a role stands above the progress, and both are whole', () => {
    const { screen, pass, lines } = screenOf(true)
    screen.show('history: 10%')
    screen.say('{"level":"warn","message":"slow"}')
    pass(1_000)
    screen.show('history: 20%')
    screen.say('second')
    expect(lines()).toEqual(['{"level":"warn","message":"slow"}', 'second', 'history: 20%'])
    screen.end()
    screen.say('done')
    expect(lines()).toEqual(['{"level":"warn","message":"slow"}', 'second', 'history: 20%', 'done', ''])
  })

  test('a shorter progress leaves nothing of a longer one, and none is wider than the terminal', () => {
    const { screen, pass, lines } = screenOf(true, 40)
    screen.show('x'.repeat(100))
    expect(lines()).toEqual(['x'.repeat(39)])
    pass(1_000)
    screen.show('short')
    expect(lines()).toEqual(['short'])
  })

  test('elsewhere progress is a plain line now and then, without control characters', () => {
    const { screen, pass, written } = screenOf(false)
    screen.show('1%')
    pass(1_000)
    screen.show('2%')
    screen.say('news')
    pass(5_000)
    screen.show('7%')
    screen.end()
    expect(written()).toBe('1%\nnews\n7%\n')
  })
})
