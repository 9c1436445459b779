import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { portProbe } from '../../../src/app/doctor/doctor-ports.ts'
import { start } from '../../serve/support/served.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

const look = (port: number, host = '127.0.0.1') => portProbe('http port', 'RIVERBANK_HTTP_PORT', host, port).run()

describe('the check of a port', () => {
  test('is well where Riverbank serves, with or without a key, and says which version', async () => {
    for (const apiKey of [null, 'a-secret-of-16-chars']) {
      const { listening } = await start({ deps: { version: '7.8.9', apiKey } })
      const detail = `127.0.0.1:${listening.port}: Riverbank 7.8.9 serves here`
      expect(await look(listening.port)).toEqual({ status: 'ok', detail, fix: null })
    }
  })

  test('warns where another program listens, whatever it answers', async () => {
    const server = createServer((_, response) => response.end('{"name": "tomcat"}'))
    open.push(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    expect(await look(port)).toMatchObject({ status: 'warn', detail: `127.0.0.1:${port} is taken` })
    server.close()
    server.closeAllConnections()
    expect(await look(port)).toEqual({ status: 'ok', detail: `127.0.0.1:${port} is free`, fix: null })
  })
})
