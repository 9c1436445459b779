import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { startFeast } from './feast.ts'
import { cpuSeconds } from '../cpu.ts'
import type { Installation } from '../installation.ts'
import { resident } from '../memory.ts'
import type { Metric } from '../measurement.ts'
import { readFrom, readKinds } from '../reads.ts'
import { eachRound, type Run } from '../run.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'

/** The ids that requests take in turn, and the two after the last. */
const entities = 502

interface Reader {
  readonly name: string
  readonly port: number
  readonly pid: number
  readonly requests: readonly string[]
}

/**
 * Measures reads of one and of three customers: Riverbank's own routes, Feast's route at Riverbank, and Feast, all from
 * the same Redis server, with the same number of features.
 */
export async function benchPeerReads(run: Run, installation: Installation, dir: string): Promise<void> {
  const features = definitions(installation.config).manifest.features.flatMap(({ name, entity }) =>
    entity === 'customer' ? [name] : [],
  )
  const feast = await startFeast({ dir, redisUrl: installation.config.REDIS_URL, entities, features })
  try {
    const server = installation.pids().get('serve') ?? installation.pids().get('serve-1') ?? 0
    const references = features.map((name) => `customer_features:${name}`)
    const readers = [
      ...readKinds(installation.port).map((kind) => ({ name: `Riverbank, ${kind.name}`, requests: kind.requests })),
      ...[1, 3].map((rows) => ({
        name: `Riverbank, Feast's route, ${count(rows)}`,
        requests: feastRequests(installation.port, features, rows),
      })),
    ].map((reader): Reader => ({ ...reader, port: installation.port, pid: server }))
    for (const rows of [1, 3]) {
      const requests = feastRequests(feast.port, references, rows)
      readers.push({ name: `Feast, ${count(rows)}`, port: feast.port, pid: feast.pid, requests })
    }
    for (const reader of readers.filter(({ requests }) => requests[0]?.startsWith('POST /get-online-features'))) {
      run.record(metric(`${reader.name}, values present`, 'share'), await sharePresent(reader))
    }
    await eachRound(run, `reads of ${features.length} features`, async (round) => {
      for (const index of readers.keys()) {
        const reader = readers[(index + round - 1) % readers.length]
        if (reader !== undefined) await measure(run, reader)
      }
    })
    for (const [name, pid] of [
      ['Riverbank', server],
      ['Feast', feast.pid],
    ] as const) {
      const used = [...(await resident(await family(pid))).values()].reduce((sum, mb) => sum + mb, 0)
      run.record(metric(`${name}: resident`, 'MB'), used)
    }
  } finally {
    await feast.stop()
  }
}

async function measure(run: Run, { name, port, pid, requests }: Reader): Promise<void> {
  const pids = await family(pid)
  const before = await cpuSeconds(pids)
  const result = await readFrom(port, requests, run)
  const after = await cpuSeconds(pids)
  const used = [...after].reduce((sum, [part, seconds]) => sum + seconds - (before.get(part) ?? 0), 0)
  run.record(metric(name, 'requests/s'), result.requests / result.seconds)
  run.record(metric(`${name}, p50`, 'ms'), result.p50Ms)
  run.record(metric(`${name}, p99`, 'ms'), result.p99Ms)
  // The load's own warm-up of a second counts as well, at the same rate.
  const counted = (result.requests * (result.seconds + 1)) / result.seconds
  run.record(metric(`${name}, processor time of the server`, 'µs/request'), (used * 1e6) / counted)
}

/** The share of values that Feast's route answers as present: a store that finds nothing answers sooner. */
async function sharePresent({ port, requests }: Reader): Promise<number> {
  let [present, all] = [0, 0]
  for (const request of requests) {
    const response = await fetch(`http://127.0.0.1:${port}/get-online-features`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: request.slice(request.indexOf('\r\n\r\n') + 4),
    })
    const { results } = onlineAnswer.parse(await response.json())
    // The first column repeats the ids.
    const statuses = results.slice(1).flatMap((column) => column.statuses)
    all += statuses.length
    present += statuses.filter((status) => status === 'PRESENT').length
  }
  return present / all
}

const onlineAnswer = z.object({ results: z.array(z.object({ statuses: z.array(z.string()) })) })

function metric(name: string, unit: string): Metric {
  return { benchmark: 'peers reads', driver: null, name, unit }
}

function count(rows: number): string {
  return rows === 1 ? 'one customer' : 'three customers'
}

function feastRequests(port: number, features: readonly string[], rows: number): string[] {
  return Array.from({ length: 500 }, (_, id) => {
    const customer = Array.from({ length: rows }, (_each, n) => String(id + n))
    const body = JSON.stringify({ features, entities: { customer } })
    const headers = `host: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
    return `POST /get-online-features HTTP/1.1\r\n${headers}\r\n${body}`
  })
}

/** A process and its children: a feature server answers from a child. */
async function family(pid: number): Promise<ReadonlyMap<string, number>> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const pids = [
    pid,
    ...children
      .split(' ')
      .filter((text) => text !== '')
      .map(Number),
  ]
  return new Map(pids.map((each) => [String(each), each]))
}
