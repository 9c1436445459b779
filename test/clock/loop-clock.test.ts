import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LoopClock } from '../../src/clock/loop-clock.ts'
import { block } from '../support/busy-loop.ts'
import { built } from '../support/built.ts'

const limitMs = 150

let server: Server | null = null
let socket: Socket | null = null

afterEach(() => {
  socket?.destroy()
  server?.close()
})

/** A peer in a process of its own answers each byte; the loop of this one does not matter to it. */
async function echoing(): Promise<{ readonly socket: Socket; stop(): void }> {
  const program = `
    const server = require('node:net').createServer((one) => one.on('data', (data) => one.write(data)))
    server.listen(0, '127.0.0.1', () => console.log(server.address().port))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const one = connect(Number(line.toString()), '127.0.0.1')
  await once(one, 'connect')
  socket = one
  return { socket: one, stop: () => void child.kill('SIGKILL') }
}

async function silent(): Promise<Socket> {
  const listening = createServer(() => undefined).listen(0, '127.0.0.1')
  server = listening
  await once(listening, 'listening')
  const address = listening.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  socket = connect(address.port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

describe('a limit of the loop clock', () => {
  it('does not pass while the loop is blocked for longer and the answer waits in the socket', async () => {
    const clock = new LoopClock()
    const peer = await echoing()
    try {
      for (let time = 0; time < 5; time += 1) {
        const answered = once(peer.socket, 'data')
        peer.socket.write('x')
        const isAnswered = clock.within(limitMs, answered)
        // The byte has to leave first.
        await new Promise(setImmediate)
        block(limitMs * 3)
        expect(await isAnswered).toBe(true)
      }
    } finally {
      peer.stop()
    }
  })

  it('passes when the other side says nothing, and not before its time', async () => {
    const clock = new LoopClock()
    const startedMs = performance.now()
    expect(await clock.within(limitMs, once(await silent(), 'data'))).toBe(false)
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(limitMs)
  })

  it('passes on a loop that is blocked all the time, after some turns of it', async () => {
    const clock = new LoopClock()
    const answered = once(await silent(), 'data')
    let turns = 0
    const outcomes: boolean[] = []
    void clock.within(limitMs, answered).then((isAnswered) => outcomes.push(isAnswered))
    while (outcomes.length === 0 && turns < 100) {
      block(limitMs)
      turns += 1
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
    expect(outcomes).toEqual([false])
    // At most 40 ms are counted for each turn.
    expect(turns).toBeGreaterThanOrEqual(Math.floor(limitMs / 40))
  })

  it('calls nobody after it was cancelled, and the others in any order', async () => {
    const clock = new LoopClock()
    const called: string[] = []
    const cancelled = clock.after(30, () => called.push('cancelled'))
    await new Promise<void>((resolve) => {
      clock.after(90, resolve)
      clock.after(40, () => {
        called.push('second')
      })
      clock.after(10, () => {
        called.push('first')
        cancelled.cancel()
      })
    })
    expect(called).toEqual(['first', 'second'])
  })

  it('passes the rejection of the work through', async () => {
    await expect(new LoopClock().within(limitMs, Promise.reject(new Error('refused')))).rejects.toThrow('refused')
  })

  it('keeps a process alive while it runs, and no longer', async () => {
    const clock = built('src/clock/loop-clock.ts')
    const program = `
      const { loopClock } = await import(${JSON.stringify(clock)})
      loopClock.nowMs()
      loopClock.after(60_000, () => undefined).cancel()
      loopClock.after(50, () => console.log('late'))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    let said = ''
    child.stdout.on('data', (data: Buffer) => (said += data.toString()))
    const [code] = (await once(child, 'exit')) as [number]
    expect({ code, said }).toEqual({ code: 0, said: 'late\n' })
  })
})
