import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { built } from '../support/built.ts'

const node = [process.execPath, built('scripts/simulate.ts')] as const
const small = ['--customers', '60', '--terminals', '120', '--days', '20', '--radius', '12']
const env = { PATH: process.env['PATH'] ?? '' }

interface Wire {
  id: string
  type: string
  time: string
}

async function simulate(...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  const [file, ...before] = node
  try {
    const done = await promisify(execFile)(file, [...before, ...args], { env, maxBuffer: 64 * 1024 * 1024 })
    return { ...done, code: 0 }
  } catch (error) {
    return error as { stdout: string; stderr: string; code: number }
  }
}
const parse = (stdout: string) =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Wire)

describe('simulate', { timeout: 60_000 }, () => {
  test('--canonical prints the data set, and so does its range', async () => {
    const whole = await simulate('--canonical', ...small)
    const part = await simulate('--canonical', ...small, '--from-day', '3', '--to-day', '5')
    expect(whole.code).toBe(0)
    expect(part.stdout.length).toBeGreaterThan(0)
    expect(whole.stdout).toContain(part.stdout)
    const [first = ''] = part.stdout.split('\n')
    expect(first).toMatch(/^\d+(,\d+){3},[01],[0-3]$/)
    expect(Math.floor(Number.parseInt(first, 10) / 86_400)).toBe(3)
  })

  test('a reader that has enough ends it cleanly', async () => {
    for (const mode of [['--canonical'], ['--to', 'ndjson', '--quiet']]) {
      const [file, ...before] = node
      const child = spawn(file, [...before, ...mode, '--to-day', '20'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      let stderr = ''
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
      const exit = once(child, 'exit')
      for await (const line of createInterface({ input: child.stdout })) {
        expect(line).toMatch(/596/)
        break
      }
      child.stdout.destroy()
      expect(await exit).toEqual([0, null])
      expect(stderr).toBe('')
    }
  })

  test('--to ndjson --end now: bounded, shifted, labels merged, nothing ahead of the clock', async () => {
    const before = Date.now()
    const { stdout, stderr, code } = await simulate(
      ...['--to', 'ndjson', ...small, '--events', '1500', '--end', 'now', '--label-delay', '1d', '--id-prefix', 'x-'],
    )
    expect(code).toBe(0)
    expect(stderr).toContain('events')
    const events = parse(stdout)
    expect(events.filter((event) => event.type === 'payment.initiated')).toHaveLength(1_500)
    expect(events.some((event) => event.type === 'fraud.reported')).toBe(true)
    const times = events.map((event) => Date.parse(event.time))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    const lastMs = times.at(-1) ?? NaN
    expect(lastMs).toBeLessThanOrEqual(Date.now())
    expect(lastMs).toBeGreaterThan(before - 3_000)
    expect(events.every((event) => event.id.startsWith('x-'))).toBe(true)
  })

  test('--live goes on after the history at the rate asked for', async () => {
    const args = ['--to', 'ndjson', ...small, '--events', '50', '--live', '--live-events', '100', '--rate', '200']
    const startMs = Date.now()
    const { stdout, code } = await simulate(...args)
    expect(code).toBe(0)
    const events = parse(stdout).filter((event) => event.type === 'payment.initiated')
    expect(events).toHaveLength(150)
    const live = events.slice(50)
    expect(live.every((event) => event.id.startsWith('live-'))).toBe(true)
    const times = live.map((event) => Date.parse(event.time))
    expect(times[0]).toBeGreaterThanOrEqual(startMs)
    // 100 payments at 200 a second, the first at once, and a burst of at most 40 when the machine stalled.
    expect((times.at(-1) ?? NaN) - (times[0] ?? NaN)).toBeGreaterThan(250)
  })

  test('Ctrl-C ends live traffic cleanly', async () => {
    const [file, ...before] = node
    const args = ['--to', 'ndjson', ...small, '--live', '--no-history', '--rate', '100', '--quiet']
    const child = spawn(file, [...before, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const exit = once(child, 'exit')
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      expect((JSON.parse(line) as Wire).type).toBe('payment.initiated')
      lines += 1
      if (lines === 5) child.kill('SIGINT')
    }
    expect(lines).toBeGreaterThanOrEqual(5)
    expect(await exit).toEqual([0, null])
  })

  test('names each mistake of the command line, and fails', async () => {
    const wrong: [string[], string][] = [
      [[], 'say what to do'],
      [['--to', 'ndjson', '--events', '1.5'], 'whole number'],
      [['--to', 'ndjson', '--end', '2999-01-01T00:00:00Z'], 'future'],
      [['--to', 'ndjson', '--end', 'yesterday'], 'such as'],
      [['--to', 'ndjson', '--rate', '0'], 'above 0'],
      [['--to', 'ndjson', '--label-delay', '7'], 'such as 30s'],
      [['--to', 'ndjson', '--no-history'], '--live'],
      [['--to', 'ndjson', '--from-day', '20', ...small], 'no days from 20'],
      [['--canonical', '--to', 'log'], 'cannot be used with'],
    ]
    const answers = await Promise.all(wrong.map(([args]) => simulate(...args)))
    answers.forEach(({ stderr, code, stdout }, i) => {
      expect(stderr).toContain(wrong[i]?.[1])
      expect(code).toBe(1)
      expect(stdout).toBe('')
    })
  })
})
