import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { SqlResult } from '../../../src/ports/sql.ts'
import { eventually } from '../../support/wait.ts'
import { paymentEvent, postJson, problemOf } from '../support/serve-fixture.ts'
import { start, subscribe } from '../support/served.ts'

const within = { deadlineMs: 5_000 }

describe('the server', () => {
  test('answers over a connection, and 413 leaves the client with an answer', async () => {
    const { url, log } = await start()
    const accepted = await fetch(`${url}/v1/events`, postJson(paymentEvent('p-1')))
    expect([accepted.status, log.records.length]).toEqual([202, 1])
    await problemOf(await fetch(`${url}/v1/events`, postJson('x'.repeat(2_000_000))), 'body_too_large')
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    })
    const chunked = { ...postJson(''), body, duplex: 'half' } as RequestInit
    await problemOf(await fetch(`${url}/v1/events`, chunked), 'body_too_large')
    expect((await fetch(`${url}/livez`)).status).toBe(200)
  })

  test('answers a broken request with a problem', async () => {
    const { listening } = await start()
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ host: '127.0.0.1', port: listening.port, path: '/', headers: { host: 'a b' } }, resolve)
        .on('error', reject)
        .end()
    })
    let text = ''
    for await (const chunk of response) text += String(chunk)
    expect(response.statusCode).toBe(400)
    expect(JSON.parse(text)).toMatchObject({ code: 'bad_request' })
  })

  test('ends the query of a client that goes away', async () => {
    let aborted = false
    let started = false
    const run = (_sql: string, signal: AbortSignal | undefined) =>
      new Promise<SqlResult>((_, reject) => {
        started = true
        signal?.addEventListener('abort', () => {
          aborted = true
          reject(new Error('aborted'))
        })
      })
    const { url } = await start({ run })
    const client = new AbortController()
    const asked = fetch(`${url}/v1/sql`, { ...postJson({ sql: 'select 1' }), signal: client.signal })
    await eventually(() => started, within)
    client.abort()
    await expect(asked).rejects.toThrow()
    await eventually(() => aborted, within)
  })

  test('listens on loopback only, unless there is a key', async () => {
    await expect(start({}, { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'listen_refused' })
    const { listening } = await start()
    await expect(start({}, { port: listening.port })).rejects.toMatchObject({ code: 'listen_failed' })
  })

  test('stops: streams end, running requests are answered, new connections are refused', async () => {
    const served = await start()
    let release: () => void = () => undefined
    let publishing = false
    served.log.onPublish = () =>
      new Promise<void>((resolve) => {
        publishing = true
        release = resolve
      })
    const stream = await subscribe(`${served.url}/v1/score-stream`)
    const running = fetch(`${served.url}/v1/events`, postJson(paymentEvent('p-1')))
    await eventually(() => publishing, within)
    const stopped = served.listening.stop()
    await eventually(() => stream.seen.ended, within)
    await eventually(
      async () =>
        fetch(`${served.url}/livez`).then(
          () => false,
          () => true,
        ),
      within,
    )
    release()
    expect((await running).status).toBe(202)
    await stopped
    await served.listening.stop()
  })

  test('stops at once when connections are open on which nothing was asked, or all is answered', async () => {
    const { listening, url } = await start({}, { drainMs: 15_000 })
    const silent = connect({ host: '127.0.0.1', port: listening.port })
    silent.on('error', () => undefined)
    const closed = new Promise<void>((resolve) => silent.once('close', () => resolve()))
    await new Promise<void>((resolve) => silent.once('connect', resolve))
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    silent.resume()
    const startedMs = performance.now()
    await listening.stop()
    await closed
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })

  test('stops in time even when a request never ends', async () => {
    const served = await start({}, { drainMs: 100 })
    let publishing = false
    served.log.onPublish = () => {
      publishing = true
      return new Promise<void>(() => undefined)
    }
    const running = fetch(`${served.url}/v1/events`, postJson(paymentEvent('p-1'))).catch(() => 'cut off')
    await eventually(() => publishing, within)
    await served.listening.stop()
    expect(await running).toBe('cut off')
  })
})
