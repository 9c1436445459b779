import { execFile, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { knownMissing } from './missing.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}test/support/clients`
const setupTimeoutMs = 300_000

/** A record as librdkafka takes it: null where Kafka allows null. */
export interface RawRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

/** Null when librdkafka can be used here, else the reason to skip. With CI=true a missing one is a failure. */
export async function librdkafkaMissing(): Promise<string | null> {
  const reason = knownMissing('Python') ?? (await setUp())
  if (reason !== null && process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

async function setUp(): Promise<string | null> {
  try {
    await promisify(execFile)(`${folder}/setup`, { timeout: setupTimeoutMs })
    return null
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    return `Python: librdkafka could not be set up: ${stderr.split('\n').at(-1) ?? String(error)}`
  }
}

/** Sends to partition 0 of a topic, in few batches. Rejects with what the client says. */
export function sendByLibrdkafka(
  brokers: string,
  topic: string,
  codec: string,
  records: readonly RawRecord[],
): Promise<void> {
  const child = spawn(`${root}.venv-clients/bin/python`, [`${folder}/produce.py`, brokers, topic, codec], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const text = (bytes: Buffer | null) => bytes?.toString('base64') ?? null
  const lines = records.map(({ key, value, headers }) =>
    JSON.stringify({ key: text(key), value: text(value), headers: headers.map(([name, v]) => [name, text(v)]) }),
  )
  // What ended it is told by its end.
  child.stdin.on('error', () => undefined)
  child.stdin.end(lines.map((line) => `${line}\n`).join(''))
  return endOf(child, 'librdkafka')
}

/** Resolves when the process ended well; rejects with the end of what it said on stderr. */
export function endOf(child: ReturnType<typeof spawn>, name: string): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${name} ended with ${signal ?? code}: ${said}`))
    })
  })
}
