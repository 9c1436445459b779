import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadOrder, LoadResult } from './http-load.js'
import type { Installation } from './installation.ts'
import type { Metric } from './measurement.ts'
import { eachRound, type Run } from './run.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { ownCommand } from '../../src/app/supervise/supervisor.ts'

const connections = 16
const warmUpMs = 1_000
/** The number of ids that the requests take in turn. */
const customers = 500

/** Measures feature reads over HTTP, from a process of its own over kept connections, on an idle installation. */
export async function benchReads(run: Run, installation: Installation): Promise<void> {
  for (const { name, requests } of readKinds(installation.port)) {
    await eachRound(run, `reads, ${name}`, async () => {
      const result = await readFrom(installation.port, requests, run)
      const metric = { benchmark: 'reads', driver: null } as const
      const latency = (q: string): Metric => ({ ...metric, name: `${name}, ${q}`, unit: 'ms' })
      run.record({ ...metric, name, unit: 'requests/s' }, result.requests / result.seconds)
      run.record(latency('p50'), result.p50Ms)
      run.record(latency('p99'), result.p99Ms)
      run.record(latency('longest'), result.longestMs)
    })
  }
}

/** The kinds of reads: whole requests, sent in turn. */
export function readKinds(port: number): { readonly name: string; readonly requests: readonly string[] }[] {
  const host = `127.0.0.1:${port}`
  return [
    { name: 'GET one customer', requests: getRequests(host) },
    { name: 'POST three customers', requests: postRequests(host) },
  ]
}

/** Sends requests to a server on this machine for one round. Errors: `reads_failed` when an answer was not 200. */
export async function readFrom(
  port: number,
  requests: readonly string[],
  run: Run,
  over = connections,
): Promise<LoadResult> {
  const order: LoadOrder = { port, connections: over, warmUpMs, measureMs: run.seconds * 1_000, requests }
  const result = await loadFromOutside(order, run.signal)
  if (result.failures > 0) throw new RiverbankError('reads_failed', `${result.failures} answers were not 200`)
  return result
}

function getRequests(host: string): string[] {
  return Array.from(
    { length: customers },
    (_, id) => `GET /v1/entities/customer/${id}/features HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  )
}

function postRequests(host: string): string[] {
  const features = definitions(readConfig({})).manifest.features.flatMap(({ name, entity }) =>
    entity === 'customer' ? [name] : [],
  )
  return Array.from({ length: customers }, (_, id) => {
    const body = JSON.stringify({ features, entities: { customer: [id, id + 1, id + 2].map(String) } })
    const headers = `host: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
    return `POST /v1/features HTTP/1.1\r\n${headers}\r\n${body}`
  })
}

export function loadFromOutside(order: LoadOrder, signal: AbortSignal): Promise<LoadResult> {
  const child = fork(fileURLToPath(new URL('./http-load.js', import.meta.url)), {
    // The client's garbage must not slow the measurement.
    execArgv: ['--max-semi-space-size=64', ...ownCommand().args.slice(0, -1)],
    signal,
  })
  return new Promise((resolve, reject) => {
    let result: LoadResult | null = null
    child.once('message', (message) => (result = message as LoadResult))
    child.once('error', reject)
    child.once('exit', (code) => {
      if (result !== null) resolve(result)
      else reject(new RiverbankError('reads_failed', `the client ended with exit code ${code}`))
    })
    child.send(order)
  })
}
